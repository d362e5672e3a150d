/**
 * The life of a partnership, without storage. `invited` is not here: before somebody accepts there is no partner, only an
 * invitation (invitation.ts).
 *
 *     pending -> active <-> suspended        active -> expired -> active        any but revoked -> revoked
 *
 * A suspended partner whose trust_till is over counts as expired as well (effectiveState), and is suspended again once renewed.
 */
import { AllianceError } from '../core/errors.ts';
import { timeLimits } from '../core/limits.ts';

/** What the PARTNER is to us: it provides (we call), it consumes (it calls), or both. */
export type Role = 'provider' | 'consumer' | 'both';
export type TrustState = 'pending' | 'active' | 'suspended' | 'expired' | 'revoked';
export type TrustEvent = 'approve' | 'suspend' | 'resume' | 'expire' | 'renew' | 'revoke';
/** Who acted, or whose act is awaited. */
export type Side = 'us' | 'partner';

export const roles: readonly Role[] = ['provider', 'consumer', 'both'];
export const trustStates: readonly TrustState[] = ['pending', 'active', 'suspended', 'expired', 'revoked'];
export const trustEvents: readonly TrustEvent[] = ['approve', 'suspend', 'resume', 'expire', 'renew', 'revoke'];

/** Every legal edge; what is not here is refused. `revoked` has none: it is final. */
const edges: Readonly<Record<TrustState, Partial<Readonly<Record<TrustEvent, TrustState>>>>> = {
  pending: { approve: 'active', revoke: 'revoked' },
  active: { suspend: 'suspended', expire: 'expired', renew: 'active', revoke: 'revoked' },
  suspended: { resume: 'active', renew: 'suspended', revoke: 'revoked' },
  expired: { renew: 'active', revoke: 'revoked' },
  revoked: {},
};

/** The state after `event`. Throws illegal_transition; `label` names the partner in its details. */
export function nextState(state: TrustState, event: TrustEvent, label?: string): TrustState {
  const next = edges[state][event];
  if (next === undefined)
    throw new AllianceError('illegal_transition', {
      details: `${event}: partner ${label ? `${label} ` : ''}is ${state}`,
    });
  return next;
}

/** Throws bad_request for an end of trust that is no point in time; null is without end. */
export function checkTrustTill(trustTill: number | null): void {
  if (trustTill === null || (Number.isSafeInteger(trustTill) && trustTill <= timeLimits.latestMs)) return;
  throw new AllianceError('bad_request', {
    field: 'trust_till',
    details: 'trust_till must lie before the year 10000.',
  });
}

/** The state that counts at `now`: trust ends at trust_till whether or not somebody has written that down yet. */
export function effectiveState(partner: { state: TrustState; trustTill: number | null }, now: number): TrustState {
  const ends = partner.state === 'active' || partner.state === 'suspended';
  return ends && partner.trustTill !== null && partner.trustTill <= now ? 'expired' : partner.state;
}
