/** Invitations that nobody has accepted yet, as an operator names them. */
import { AllianceError } from '../core/errors.ts';
import type { InvitationFacts } from '../model/invitation.ts';
import type { Installation } from './installation.ts';

/** Hexadecimal digits: enough to tell a thousand open invitations apart, and easy to type. */
const labelLength = 12;

/** What an operator calls an invitation. Its whole id may begin with a `-`, which a command line takes for an option. */
export const invitationLabel = ({ id }: Pick<InvitationFacts, 'id'>): string =>
  Buffer.from(id, 'base64url').toString('hex').slice(0, labelLength);

export async function openInvitations({ store, clock }: Installation): Promise<InvitationFacts[]> {
  const now = clock.now();
  const all = await store.invitations.list();
  return all.filter(({ usedBy, expiresAt }) => usedBy === null && expiresAt > now);
}

/** By label, id or name; undefined when there is none. Throws bad_request when several have this name. */
export async function findOpenInvitation(
  installation: Installation,
  word: string,
): Promise<InvitationFacts | undefined> {
  const open = await openInvitations(installation);
  const labelled = open.find((one) => one.id === word || invitationLabel(one) === word.toLowerCase());
  if (labelled) return labelled;
  const named = open.filter(({ name }) => name === word);
  if (named.length > 1)
    throw new AllianceError('bad_request', {
      field: 'partner',
      details: `Several invitations have the name ${word}: ${named.map(invitationLabel).join(', ')}.`,
    });
  return named[0];
}
