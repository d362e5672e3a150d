/** One question to the issuer of a token, and what of the answer may be remembered. */
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import { type AllianceError, toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';
import { type KeystoneToken, parseToken } from '../lproxy/keystoneBodies.ts';
import type { Partner } from '../model/partner.ts';
import { type Validation, validateToken } from '../rproxy/auth.ts';
import type { ForeignCache } from './foreignCache.ts';
import type { RevocationMarks } from './revocation/marks.ts';
import type { Flight } from './singleFlight.ts';

export interface Question {
  readonly partner: Partner;
  readonly token: string;
  /** Of the cache. */
  readonly key: string;
  readonly allowExpired: boolean;
  readonly flight: Flight;
}

export type Heard =
  | { readonly kind: 'valid'; readonly body: string; readonly facts: KeystoneToken }
  | { readonly kind: 'invalid' }
  | {
      readonly kind: 'undecided';
      readonly reason: string;
      readonly retryAfterMs: number | undefined;
      /** Whether it is only that nobody answers: then an older answer may stand in. */
      readonly away: boolean;
    };

interface Circumstances {
  readonly pool: ClientPool;
  readonly view: TrustView;
  readonly clock: Clock;
  readonly marks: Pick<RevocationMarks, 'confirmedAt' | 'isRevoked'>;
  readonly cache: ForeignCache;
  readonly followers: { wake(uid: PartnerUid): void };
}

const unheard = (error: AllianceError): Heard => ({
  kind: 'undecided',
  reason: error.errorName,
  retryAfterMs: error.retryAfterMs,
  away: error.retryable,
});

export async function askIssuer(question: Question, circumstances: Circumstances): Promise<Heard> {
  const { partner, token, key, allowExpired, flight } = question;
  const { pool, view, clock, marks, cache, followers } = circumstances;
  const { uid } = partner;
  const askedAt = cache.now();
  // Revocations from before anybody followed them are known to nobody here, and the answer might be older than they are.
  const followed = marks.confirmedAt(uid) !== null;
  let answer: Validation;
  let facts: KeystoneToken | undefined;
  try {
    answer = await validateToken(pool, partner, token, { allowExpired, timeoutMs: foreignLimits.askMs });
    if (answer.status === 'valid') facts = parseToken(answer.body ?? '');
  } catch (thrown) {
    return unheard(toAllianceError(thrown));
  }
  if (answer.status === 'indeterminate')
    return { kind: 'undecided', reason: answer.reason, retryAfterMs: undefined, away: true };
  if (answer.revocationHead !== null) cache.learnHead(uid, answer.revocationHead);
  if (cache.isBehind(uid)) followers.wake(uid);
  // The trust may have ended, and the token may have been revoked, while the answer was on its way.
  if (!view.isProvider(uid)) return { kind: 'invalid' };
  const good =
    answer.status === 'valid' &&
    facts !== undefined &&
    (allowExpired || facts.expiresAt > clock.now()) &&
    !marks.isRevoked(uid, facts);
  if (!good) {
    if (flight.keep) cache.refuse(key, askedAt);
    return { kind: 'invalid' };
  }
  const body = (answer as Extract<Validation, { status: 'valid' }>).body ?? '';
  if (followed && flight.keep) cache.keep(key, { partnerUid: uid, body, facts: facts!, allowExpired, askedAt });
  return { kind: 'valid', body, facts: facts! };
}
