import type { PartnerHandler } from '../context.ts';
import { limitRequests, provisionProject } from '../provisioning/provision.ts';
import { readProvision, toProvisionedProject } from '../provisioning/request.ts';
import { keystoneOf } from './tokens.ts';

/** A project for the caller's users, within the limits that this cloud sets to the caller. */
export const provision: PartnerHandler<'provision'> = async (context, argument, { partner }) => {
  const request = readProvision(argument);
  limitRequests(context, partner);
  return toProvisionedProject(await provisionProject(context, keystoneOf(context, partner), partner, request));
};
