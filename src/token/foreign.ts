/** Tokens of partner clouds, as the services of this one see them: whose they are, and what their issuers say of them. */
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import { type Config, partnerConfig } from '../core/config.ts';
import { toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import type { Partner } from '../model/partner.ts';
import { revokeToken } from '../rproxy/tokens.ts';
import { Absences } from './absences.ts';
import { createClaimants } from './claimants.ts';
import { type ExplainOptions, type Explanation, explain } from './explain.ts';
import { ForeignCache, type Remembered } from './foreignCache.ts';
import type { Hints } from './hints.ts';
import { askIssuer, type Question } from './issuer.ts';
import type { OwnTokenKeys } from './ownKeys.ts';
import type { RevocationMarks } from './revocation/marks.ts';
import { readJws } from './routing/jws.ts';
import { isQualified } from './routing/qualified.ts';
import { type LastOptions, type Recognised, Router } from './routing/router.ts';
import { createSearch, type IsLocal } from './search.ts';
import { Silences } from './silences.ts';
import { SingleFlight } from './singleFlight.ts';
import { type Basis, Voids } from './voids.ts';
import { createVouching } from './vouching.ts';

export type { Recognised } from './routing/router.ts';

export type ForeignVerdict =
  | {
      readonly kind: 'valid';
      readonly partner: Partner;
      /** The issuer's, verbatim. */
      readonly body: string;
      readonly facts: KeystoneToken;
      /** `stale`: the issuer cannot be asked, and the operator lets its last answer count. */
      readonly source: 'cache' | 'live' | 'stale';
      /** Since the issuer was asked. */
      readonly ageMs: number;
      /** When that was, by the clock of whoever says this. */
      readonly askedAt: number;
      readonly basis: Basis;
    }
  | { readonly kind: 'invalid'; readonly partner: Partner | null }
  | {
      readonly kind: 'undecided';
      readonly partner: Partner | null;
      /** Name of an error, or of a reason of INDETERMINATE. */
      readonly reason: string;
      readonly retryAfterMs: number;
    };

export interface ForeignTokens {
  /** Before this cloud's Keystone is asked. `unusable`: the token is of a cloud that is no active provider, or tries to be qualified. */
  recogniseFirst(token: string): Recognised | 'unusable' | undefined;
  /** Whether it says itself that it is another cloud's, or tries to: no more than its beginning is looked at, whatever steps are on. */
  isQualified(token: string): boolean;
  /** Whether it says so, or is known to be: nobody is asked, and no signature is verified. */
  isForeign(token: string): boolean;
  /** After this cloud's Keystone did not know it. Throws `unreachable` where somebody may know it who does not tell. */
  recogniseLast(token: string, options?: LastOptions): Promise<Recognised | undefined>;
  /** The same, as far as nobody has to be asked for it. Throws `overloaded`. */
  recall(token: string): Recognised | undefined;
  /** Whether `validate` has its answer without asking the issuer. */
  isRemembered(recognised: Recognised, options: { readonly allowExpired: boolean }): boolean;
  /** Never throws for what a partner does or does not do. */
  validate(recognised: Recognised, options: { readonly allowExpired: boolean }): Promise<ForeignVerdict>;
  /** Whether a verdict may still be answered with: what was done since took time, and what counted then may have ended. */
  stands(verdict: Extract<ForeignVerdict, { kind: 'valid' }>, options: { readonly allowExpired: boolean }): boolean;
  /** Carries the end of the token home; true when it was valid until now. Throws what the call to the partner throws. */
  revoke(recognised: Recognised): Promise<boolean>;
  /** How a token is recognised and what its issuer says, step by step. */
  explain(token: string, options?: ExplainOptions): Promise<Explanation>;
  close(): void;
}

export interface ForeignOptions {
  readonly pool: ClientPool;
  readonly view: TrustView;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly marks: RevocationMarks;
  readonly hints: Hints;
  readonly ownTokenKeys: Pick<OwnTokenKeys, 'signers'>;
  /** Asks this cloud's Keystone; absent where it has none. */
  readonly isLocal?: IsLocal | undefined;
  /** Whoever reads the partners' revocations. */
  readonly followers: {
    /** Sequence of the newest revocation that was read; null: none yet. */
    head(uid: PartnerUid): number | null;
    wake(uid: PartnerUid): void;
  };
}

export function createForeignTokens(options: ForeignOptions): ForeignTokens {
  const { pool, view, config, clock, log, marks, hints, followers, ownTokenKeys } = options;
  const staleMs = (uid: PartnerUid): number => {
    const partner = view.partnerByUid(uid);
    return partner ? partnerConfig(config(), partner.cloudId).staleMs : 0;
  };
  const cache = new ForeignCache({
    clock,
    marks,
    head: (uid) => followers.head(uid),
    bounds: () => ({ ageMs: config().tokens.cacheMs, entries: config().tokens.cacheEntries }),
    staleMs,
  });
  const flights = new SingleFlight<ForeignVerdict>({ limits: foreignLimits, now: () => cache.now() });
  const silences = new Silences(() => cache.now());
  const voids = new Voids();

  const undecided = (partner: Partner | null, reason: string, retryAfterMs?: number): ForeignVerdict => ({
    kind: 'undecided',
    partner,
    reason,
    retryAfterMs: retryAfterMs ?? foreignLimits.retryAfterMs,
  });

  const verdictOf = (
    partner: Partner,
    { answer, ageMs }: Remembered,
    how: { readonly source: 'cache' | 'stale'; readonly basis: Basis },
  ): ForeignVerdict => {
    const { body, facts, askedAt } = answer;
    return { kind: 'valid', partner, body, facts, ageMs, askedAt, ...how };
  };

  const ask = async (question: Question, basis: Basis): Promise<ForeignVerdict> => {
    const { partner, key, allowExpired } = question;
    const heard = await silences.run(partner.uid, () =>
      askIssuer(question, { pool, view, clock, marks, cache, followers }),
    );
    if (heard.kind === 'valid') {
      const { body, facts, ageMs } = heard;
      return { kind: 'valid', partner, body, facts, source: 'live', ageMs, askedAt: cache.now() - ageMs, basis };
    }
    if (heard.kind === 'invalid') return { kind: 'invalid', partner };
    const stale = heard.away ? cache.readStale(key) : undefined;
    if (!stale) return undecided(partner, heard.reason, heard.retryAfterMs);
    log.debug(
      { partner: partner.cloudId, ageMs: stale.ageMs, allowExpired },
      'An old answer of an absent partner counts.',
    );
    return verdictOf(partner, stale, { source: 'stale', basis });
  };

  const decide: ForeignTokens['validate'] = async ({ partner: found, token, by }, { allowExpired }) => {
    const { uid } = found;
    const partner = view.partnerByUid(uid) ?? found;
    if (view.lost) return undecided(partner, 'database_lost');
    if (!view.isProvider(uid)) return { kind: 'invalid', partner };
    const key = cache.keyOf(uid, allowExpired, cache.idOf(token));
    const basis = voids.basis(key);
    const known = cache.read(key);
    if (known === 'invalid') return { kind: 'invalid', partner };
    if (known) return verdictOf(partner, known, { source: 'cache', basis });
    // Its own signed claim says so; nobody has to be asked.
    if (by === 'jws' && !allowExpired && (readJws(token)?.expiresAt ?? 0) <= clock.now())
      return { kind: 'invalid', partner };
    return flights
      .run(key, (flight) => ask({ partner, token, key, allowExpired, flight }, basis))
      .catch((thrown: unknown) => {
        const { errorName, retryAfterMs } = toAllianceError(thrown);
        return undecided(partner, errorName, retryAfterMs);
      });
  };

  /** What an answer proves beyond itself depends on how the token was recognised: nobody owns a token by being named in it. */
  const validate: ForeignTokens['validate'] = async (recognised, how) => {
    const verdict = await decide(recognised, how);
    if (verdict.kind === 'valid' && recognised.settled) router.learn(recognised, verdict.partner);
    return verdict;
  };

  const idOf = (token: string): string => cache.idOf(token);
  const now = (): number => cache.now();
  const absences = new Absences(now);
  const claimants = createClaimants({ pool, view, hints, absences, idOf, now });
  const vouching = createVouching({ decide, absences });
  const ownSigners = () => ownTokenKeys.signers;
  const router = new Router({ view, config, hints, ownSigners, now, idOf, claimants, vouching, log });
  const search = createSearch({ router, view, config, clock, isLocal: options.isLocal, idOf, now });

  /** What is remembered of a partner counts no more, and what was asked until now is not remembered. */
  const forget = (isVoid: (uid: PartnerUid) => boolean): void => {
    cache.sweep(isVoid);
    flights.abandon((key) => isVoid(cache.partnerOf(key)));
  };
  marks.onNote((issuer, revocation) => {
    if (revocation !== null) return;
    voids.ofPartner(issuer as PartnerUid);
    forget((uid) => uid === issuer);
  });
  let sweptAt = cache.now();
  let closed = false;
  view.onLook((changed) => {
    if (closed || (!changed && cache.now() - sweptAt < foreignLimits.sweepMs)) return;
    sweptAt = cache.now();
    forget((uid) => !view.isProvider(uid));
  });

  return {
    recogniseFirst: (token) => router.first(token),

    isQualified,

    isForeign: (token) => router.isForeign(token),

    recogniseLast: (token, last) => search.find(token, last),

    recall: (token) => search.recall(token),

    isRemembered: ({ partner: { uid }, token }, { allowExpired }) =>
      cache.read(cache.keyOf(uid, allowExpired, cache.idOf(token))) !== undefined,

    validate,

    stands: ({ partner: { uid }, facts, source, askedAt, basis }, { allowExpired }) => {
      if (view.lost || !view.isProvider(uid) || marks.isRevoked(uid, facts) || voids.has(uid, basis)) return false;
      if (!allowExpired && clock.now() >= facts.expiresAt) return false;
      const ageMs = cache.now() - askedAt;
      if (source === 'stale') return ageMs < staleMs(uid);
      // As when it was decided: what the issuer has just said counts by itself.
      return (source === 'live' && ageMs <= foreignLimits.confirmedMs) || cache.isConfirmed(uid);
    },

    revoke: async ({ partner, token }) => {
      const id = cache.idOf(token);
      const end = (): void => {
        for (const allowExpired of [false, true]) {
          const key = cache.keyOf(partner.uid, allowExpired, id);
          cache.drop(key);
          voids.ofKey(key);
          flights.abandon((running) => running === key);
        }
      };
      end();
      try {
        return await revokeToken(pool, partner, token);
      } finally {
        // Whoever asked while it was on its way may have heard the old answer.
        end();
      }
    },

    explain: (token, how = {}) =>
      explain({ token, router, isOurs: search.isOurs, tokens: config().tokens, validate }, how),

    close: () => {
      closed = true;
      cache.clear();
    },
  };
}
