import { AllianceError } from '../../core/errors.ts';
import type { PartnerHandler } from '../context.ts';
import { removeProject } from '../provisioning/projects.ts';
import { limitRequests } from '../provisioning/provision.ts';
import { keystoneOf } from './tokens.ts';

/** Only what was made for the caller; to remove what is removed is no error. */
export const deprovision: PartnerHandler<'deprovision'> = async (context, { project_id: projectId }, { partner }) => {
  const { store } = context;
  limitRequests(context, partner);
  const found = await store.provisions.findProject(partner.uid, 'in', projectId);
  if (!found) throw new AllianceError('project_not_found');
  await removeProject(store, keystoneOf(context, partner), found, 'partner');
};
