/** Who holds this token? Partners are asked by a hint of it, and only who proves to hold it, too, is told anything more. */
import { randomBytes } from 'node:crypto';
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import { Bounded } from '../core/bounded.ts';
import { toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits, tokenLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { claimToken } from '../rproxy/tokens.ts';
import { type Absences, assertDecided } from './absences.ts';
import type { Hints } from './hints.ts';

export interface ClaimantsOptions {
  readonly pool: ClientPool;
  readonly view: Pick<TrustView, 'cloudId'>;
  readonly hints: Pick<Hints, 'hintFor' | 'verifyProof'>;
  readonly absences: Absences;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/**
 * Those of `providers` that hold the token. Throws `unreachable` where one did not tell, because it does not answer or cannot know: it may
 * be the issuer, and who keeps it from answering must not thereby be the only one.
 */
export type Claimants = (token: string, providers: readonly Partner[]) => Promise<readonly Partner[]>;

export function createClaimants({ pool, view, hints, absences, idOf, now }: ClaimantsOptions): Claimants {
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
      const claim = await claimToken(pool, partner, { hint, nonce }, { timeoutMs: foreignLimits.claimMs });
      if (claim === 'unsure') return 'away';
      return claim !== 'not_ours' && hints.verifyProof(token, nonce, claim, partner) ? 'holds' : 'not';
    } catch (thrown) {
      const { errorName, retryAfterMs } = toAllianceError(thrown);
      if (errorName === 'rate_limited')
        pausing.set(partner.uid, now() + Math.min(retryAfterMs ?? Infinity, foreignLimits.retryAfterMs));
      // Whatever is wrong: that it is not the issuer is something else.
      return 'away';
    }
  };

  return async (token, providers) => {
    const id = idOf(token);
    if (now() - (nobodys.get(id) ?? Number.NEGATIVE_INFINITY) < tokenLimits.negativeCacheMs) return [];
    const waiting = [...providers];
    const holders: Partner[] = [];
    const away: Partner[] = [];
    const askOneByOne = async (): Promise<void> => {
      for (let partner = waiting.shift(); partner; partner = waiting.shift()) {
        const answer = await claims(token, partner);
        if (answer === 'holds') holders.push(partner);
        else absences.note(partner.uid, answer === 'not');
        if (answer === 'away') away.push(partner);
      }
    };
    await Promise.all(Array.from({ length: foreignLimits.claimsAtOnce }, askOneByOne));
    assertDecided(away, holders.length > 0, absences);
    if (holders.length === 0) nobodys.set(id, now());
    return holders;
  };
}
