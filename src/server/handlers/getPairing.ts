import { PairingState, PairingStatus, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';

/** What the acceptor asks until the inviter's operator has approved it. */
export const getPairing: PartnerHandler<'getPairing'> = async ({ view }, _argument, { partner }) =>
  new PairingStatus({
    state: view.stateOf(partner) === 'active' ? PairingState.ACTIVE : PairingState.PENDING,
    trust_since: toInt64(partner.trustSince),
    ...(partner.trustTill !== null && { trust_till: toInt64(partner.trustTill) }),
  });
