/** Foreign tokens without sockets: partners, their answers and the clock are the test's; everything that leaves is written down. */
import type { ClientPool } from '../../src/client/pool.ts';
import type { TrustView } from '../../src/client/trustView.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { Config } from '../../src/core/config.ts';
import { AllianceError } from '../../src/core/errors.ts';
import type { CloudId, PartnerUid } from '../../src/core/ids.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { silentTelemetry } from '../../src/core/telemetry.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { StoredTokenKey } from '../../src/model/tokenKey.ts';
import type { Role, TrustState } from '../../src/model/trust.ts';
import { createForeignTokens, type ForeignTokens } from '../../src/token/foreign.ts';
import { Hints } from '../../src/token/hints.ts';
import type { OwnSigners } from '../../src/token/ownSigners.ts';
import { RevocationMarks } from '../../src/token/revocation/marks.ts';
import {
  IndeterminateReason,
  RevokeTokenResult,
  TokenClaim,
  type TokenClaimRequest,
  TokenStatus,
  TokenValidation,
  toInt64,
  type ValidateTokenRequest,
} from '../../src/wire/types.ts';

export interface FakeClock extends Clock {
  now(): number;
  monotonic(): number;
  /** Time passes. */
  pass(ms: number): void;
  /** Somebody sets the clock. */
  step(ms: number): void;
}

function createFakeClock(at = Date.UTC(2030, 0, 1)): FakeClock {
  let wall = at;
  let elapsed = 1e6;
  return {
    now: () => wall,
    monotonic: () => elapsed,
    pass: (ms) => {
      wall += ms;
      elapsed += ms;
    },
    step: (ms) => {
      wall += ms;
    },
  };
}

export interface FakePartner {
  readonly partner: Partner;
  role: Role;
  state: TrustState;
  /** Bodies of the tokens that it calls valid now. */
  readonly tokens: Map<string, string>;
  /** Tokens that it can prove to hold, its own or others'. */
  readonly holds: Set<string>;
  head: number;
  away: boolean;
  /** It finds that it is asked too often. */
  limited: boolean;
  /** It may have issued tokens that it knows nothing of. */
  unsure: boolean;
  /** It answers nothing that it is asked. */
  refuses: boolean;
}

export interface Sent {
  readonly to: CloudId;
  readonly method: string;
  /** The token, where one was sent. */
  readonly token: string | null;
}

export interface ForeignWorld {
  readonly foreign: ForeignTokens;
  readonly clock: FakeClock;
  readonly marks: RevocationMarks;
  readonly hints: Hints;
  readonly sent: Sent[];
  readonly partners: ReadonlyMap<string, FakePartner>;
  readonly woken: PartnerUid[];
  /** Sequences that followers have read. */
  readonly heads: Map<PartnerUid, number>;
  tokenKeys: readonly StoredTokenKey[];
  tokens: Config['tokens'];
  /** What is known of who signs this cloud's tokens. */
  own: OwnSigners;
  /** Tokens that this cloud's Keystone knows when it is asked in every way; null: it does not answer. */
  local: Set<string> | null;
  /** Questions to it. */
  readonly asked: string[];
  readonly errors: { readonly facts: object; readonly message: string }[];
  staleMs: number;
  lost: boolean;
  /** What every answer waits for before it is heard. */
  gate: Promise<unknown>;
  /** As the trust view does every half second. */
  look(changed?: boolean): void;
}

export const tokenSettings: Config['tokens'] = {
  qualified: true,
  jws: true,
  known: true,
  ask: 'none',
  allLoginsHere: false,
  cacheMs: 60_000,
  cacheEntries: 1000,
  privilegedRoles: [],
  serviceTokenRoles: ['service'],
  allowLocalUsers: false,
};

export const bodyOf = (
  auditId: string,
  { issuedAt, expiresAt }: { readonly issuedAt: number; readonly expiresAt: number },
): string =>
  JSON.stringify({
    token: {
      methods: ['password'],
      user: { id: 'u1', name: 'ann', domain: { id: 'd1', name: 'D' } },
      audit_ids: [auditId],
      issued_at: new Date(issuedAt).toISOString(),
      expires_at: new Date(expiresAt).toISOString(),
      project: { id: 'p1', name: 'lab', domain: { id: 'd1', name: 'D' } },
      roles: [{ id: 'r1', name: 'member' }],
    },
  });

export function createForeignWorld(names: readonly string[], cloudId = 'west'): ForeignWorld {
  const clock = createFakeClock();
  const partners = new Map<string, FakePartner>(
    names.map((name) => {
      const partner = { uid: name.padEnd(26, 'x'), cloudId: name, name, trustTill: null } as unknown as Partner;
      const fake = {
        role: 'provider',
        state: 'active',
        tokens: new Map(),
        holds: new Set(),
        head: 0,
        away: false,
        limited: false,
        unsure: false,
        refuses: false,
      };
      return [name, { partner, ...fake } as FakePartner];
    }),
  );
  const byUid = (uid: PartnerUid) => [...partners.values()].find(({ partner }) => partner.uid === uid);
  const shown = ({ partner, role, state }: FakePartner): Partner => ({ ...partner, role, state });
  const listeners: ((changed: boolean) => void)[] = [];
  const view = {
    cloudId: cloudId as CloudId,
    get partners() {
      return [...partners.values()].map(shown);
    },
    get tokenKeys() {
      return world.tokenKeys;
    },
    get lost() {
      return world.lost;
    },
    partnerByUid: (uid: PartnerUid) => {
      const found = byUid(uid);
      return found && shown(found);
    },
    partnerByCloudId: (name: string) => {
      const found = partners.get(name);
      return found && shown(found);
    },
    stateOf: ({ uid }: Partner) => byUid(uid)!.state,
    isProvider: (uid: PartnerUid) => {
      const found = byUid(uid);
      return found?.state === 'active' && found.role !== 'consumer';
    },
    onLook: (listener: (changed: boolean) => void) => listeners.push(listener),
  } as unknown as TrustView;

  const call = async ({ cloudId: to }: Partner, method: string, argument: unknown) => {
    const { token = null } = argument as { token?: string };
    const partner = partners.get(to)!;
    world.sent.push({ to, method, token });
    // What it knows when it is asked is what it says, however long that takes.
    if (partner.limited) throw new AllianceError('rate_limited', { retryAfterMs: 1000 });
    if (partner.refuses) throw new AllianceError('forbidden', { remote: true });
    const answer = partner.away ? null : answerOf(partner, method, argument);
    await world.gate;
    if (!answer) throw new AllianceError('unreachable');
    return answer;
  };

  const answerOf = (partner: FakePartner, method: string, argument: unknown) => {
    const revocation_head = toInt64(partner.head);
    const checked_at = toInt64(clock.now());
    if (method === 'revokeToken')
      return new RevokeTokenResult({ was_valid: partner.tokens.delete((argument as ValidateTokenRequest).token) });
    if (method === 'claimToken') {
      const { hint, nonce } = argument as TokenClaimRequest;
      const { proof } = claims(partner, hint, nonce);
      return new TokenClaim(proof ? { proof } : partner.unsure ? {} : { not_ours: true });
    }
    const { token, allow_expired: allowExpired } = argument as ValidateTokenRequest;
    const body = partner.tokens.get(token);
    if (body === 'indeterminate' || body === 'overloaded')
      return new TokenValidation({
        status: TokenStatus.INDETERMINATE,
        reason: IndeterminateReason[body === 'overloaded' ? 'OVERLOADED' : 'KEYSTONE_UNREACHABLE'],
        revocation_head,
      });
    if (body === undefined) return new TokenValidation({ status: TokenStatus.INVALID, checked_at, revocation_head });
    const expiresAt = Date.parse((JSON.parse(body) as { token: { expires_at: string } }).token.expires_at);
    if (!allowExpired && expiresAt <= clock.now())
      return new TokenValidation({ status: TokenStatus.INVALID, checked_at, revocation_head });
    const expires_at = toInt64(expiresAt);
    return new TokenValidation({ status: TokenStatus.VALID, checked_at, expires_at, body, revocation_head });
  };

  /** As the partner's own broker would. */
  const claims = ({ partner, holds }: FakePartner, hint: Buffer, nonce: Buffer): { proof?: Buffer | undefined } => {
    const asker = { cloudId, uid: 'asker' } as unknown as Partner;
    const own = new Hints({ view: { ...view, cloudId: partner.cloudId } as TrustView, clock });
    for (const token of holds) own.learn({ token, expiresAt: clock.now() + 1000, auditId: undefined }, 'issued');
    return { proof: own.prove(hint, nonce, asker) };
  };

  const marks = new RevocationMarks(clock);
  const hints = new Hints({ view, clock });
  const world: ForeignWorld = {
    clock,
    marks,
    hints,
    sent: [],
    partners,
    woken: [],
    heads: new Map(),
    tokenKeys: [],
    tokens: tokenSettings,
    own: { keys: [], certain: true, isOwn: () => false },
    local: new Set(),
    asked: [],
    errors: [],
    staleMs: 0,
    lost: false,
    gate: Promise.resolve(),
    look: (changed = true) => {
      for (const listener of listeners) listener(changed);
    },
    foreign: createForeignTokens({
      pool: { call } as unknown as ClientPool,
      view,
      clock,
      marks,
      hints,
      log: Object.assign(Object.create(silentLogger) as Logger, {
        error: (facts: object, message: string) => world.errors.push({ facts, message }),
      }),
      isLocal: async (token) => {
        world.asked.push(token);
        if (!world.local) throw new AllianceError('keystone_unreachable');
        return world.local.has(token);
      },
      telemetry: silentTelemetry,
      config: () =>
        ({
          tokens: world.tokens,
          partners: new Map(names.map((name) => [name, { staleMs: world.staleMs }])),
        }) as unknown as Config,
      ownTokenKeys: {
        get signers() {
          return world.own;
        },
      },
      followers: { head: (uid) => world.heads.get(uid) ?? null, wake: (uid) => world.woken.push(uid) },
    }),
  };
  return world;
}

/** The follower of the partner has read everything. */
export function follow({ marks, heads, clock, partners }: ForeignWorld, name: string): void {
  const { partner, head } = partners.get(name)!;
  heads.set(partner.uid, head);
  marks.confirm(partner.uid, clock.monotonic());
}
