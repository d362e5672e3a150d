/** Who holds this token? Partners are asked by a hint of it, and only who proves to hold it, too, is told anything more. */
import { randomBytes } from 'node:crypto';
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits, tokenLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { claimToken } from '../rproxy/tokens.ts';
import { Bounded } from './bounded.ts';
import type { Hints } from './hints.ts';

export interface ClaimantsOptions {
  readonly pool: ClientPool;
  readonly view: Pick<TrustView, 'cloudId'>;
  readonly hints: Pick<Hints, 'hintFor' | 'verifyProof'>;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/**
 * Those of `providers` that hold the token. Throws `unreachable` where one did not answer: it may hold it, too, and be its issuer, and who
 * keeps the others from answering must not thereby be the only one.
 */
export type Claimants = (token: string, providers: readonly Partner[]) => Promise<readonly Partner[]>;

export function createClaimants({ pool, view, hints, idOf, now }: ClaimantsOptions): Claimants {
  /** Tokens that nobody held a moment ago: guessing costs partners one question each. */
  const nobodys = new Bounded<number>(foreignLimits.negativeEntries);

  /** Partners that we asked too often for their taste, and until when. */
  const pausing = new Map<PartnerUid, number>();

  const claims = async (token: string, partner: Partner): Promise<'holds' | 'not' | 'away'> => {
    if (now() < (pausing.get(partner.uid) ?? 0)) return 'away';
    pausing.delete(partner.uid);
    const nonce = randomBytes(32);
    try {
      const hint = hints.hintFor(token, view.cloudId, partner.cloudId);
      const proof = await claimToken(pool, partner, { hint, nonce }, { timeoutMs: foreignLimits.claimMs });
      return proof && hints.verifyProof(token, nonce, proof, partner) ? 'holds' : 'not';
    } catch (thrown) {
      const { errorName, retryable, retryAfterMs } = toAllianceError(thrown);
      if (errorName === 'rate_limited')
        pausing.set(partner.uid, now() + Math.min(retryAfterMs ?? Infinity, foreignLimits.retryAfterMs));
      return retryable ? 'away' : 'not';
    }
  };

  return async (token, providers) => {
    const id = idOf(token);
    if (now() - (nobodys.get(id) ?? Number.NEGATIVE_INFINITY) < tokenLimits.negativeCacheMs) return [];
    const waiting = [...providers];
    const holders: Partner[] = [];
    let away: Partner | undefined;
    const askOneByOne = async (): Promise<void> => {
      for (let partner = waiting.shift(); partner; partner = waiting.shift()) {
        const answer = await claims(token, partner);
        if (answer === 'holds') holders.push(partner);
        if (answer === 'away') away = partner;
      }
    };
    await Promise.all(Array.from({ length: foreignLimits.claimsAtOnce }, askOneByOne));
    if (away)
      throw new AllianceError('unreachable', {
        details: `${away.cloudId} may know the token, and cannot be asked.`,
        retryAfterMs: foreignLimits.retryAfterMs,
      });
    if (holders.length === 0) nobodys.set(id, now());
    return holders;
  };
}
