/** One question to the issuer of a token, and what of the answer may be remembered. */
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import { type AllianceError, toAllianceError } from '../core/errors.ts';
import type { ErrorName } from '../core/errorTable.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
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
  | {
      readonly kind: 'valid';
      readonly body: string;
      readonly facts: KeystoneToken;
      /** Since it was asked: it may know of nothing that came later. */
      readonly ageMs: number;
    }
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

/** Nobody answers. Whoever says that he is busy is there, and anybody could keep him busy until an old answer counts. */
const absences: ReadonlySet<ErrorName> = new Set([
  'unreachable',
  'connection_lost',
  'circuit_open',
  'deadline_exceeded',
]);

/** Whoever is late with an answer may be busy with others; it is away only if nothing else comes from it either. */
const unheard = ({ errorName, retryAfterMs, remote }: AllianceError, isSilent: boolean): Heard => ({
  kind: 'undecided',
  reason: errorName,
  retryAfterMs,
  away: !remote && absences.has(errorName) && (errorName !== 'deadline_exceeded' || isSilent),
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
    if (answer.status === 'valid') facts = answer.facts ?? undefined;
  } catch (thrown) {
    return unheard(toAllianceError(thrown), !cache.isConfirmed(uid));
  }
  if (answer.status === 'indeterminate') {
    const { reason } = answer;
    return { kind: 'undecided', reason, retryAfterMs: undefined, away: reason === 'keystone_unreachable' };
  }
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
    if (flight.mayKeep()) cache.refuse(key, askedAt);
    return { kind: 'invalid' };
  }
  const ageMs = cache.now() - askedAt;
  // As in the cache: an answer as old as this counts only where every revocation since is known.
  if (ageMs > foreignLimits.confirmedMs && !cache.isConfirmed(uid))
    return { kind: 'undecided', reason: 'deadline_exceeded', retryAfterMs: undefined, away: false };
  const body = (answer as Extract<Validation, { status: 'valid' }>).body ?? '';
  if (followed && flight.mayKeep()) cache.keep(key, { partnerUid: uid, body, facts: facts!, allowExpired, askedAt });
  return { kind: 'valid', body, facts: facts!, ageMs };
}
