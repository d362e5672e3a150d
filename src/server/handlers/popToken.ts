import type { PartnerHandler } from '../context.ts';

/** Only a reason to read the caller's revocations now; what it says of them is not believed, nor needed. */
export const popToken: PartnerHandler<'popToken'> = async ({ followers }, _notice, { partner }) => {
  followers.wake(partner.uid);
};
