/** `alliance partner revoke, remove` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { findOpenInvitation, invitationLabel } from '../broker/invitations.ts';
import { endTrust } from '../broker/partners.ts';
import { AllianceError } from '../core/errors.ts';
import type { InvitationFacts } from '../model/invitation.ts';
import type { Partner } from '../model/partner.ts';
import { type Cli, shown } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { confirm } from './input.ts';

const told = 'The partner is told if it can be reached; a running broker goes on trying.';

export function addEnding(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'revoke <partner>',
    summary: 'end the trust for good',
    more: told,
    examples: ['partner revoke west --yes'],
  })
    .option('--yes', 'do not ask')
    .action((name: string, { yes }: { yes?: boolean }) =>
      finish(
        cli,
        cli.withPartner(name, (partner, installation) => revoke(cli, installation, partner, yes)),
      ),
    );

  addCommand(group, {
    usage: 'remove <partner>',
    summary: 'end the trust and forget the partner, or cancel an open invitation',
    more: `${told}
Its cloud_id stays bound to its key. An invitation is named by its name or as \`partner list\` shows it; cancelling it asks nothing.`,
    examples: ['partner remove west --yes', 'partner remove 9f86d081884c'],
  })
    .option('--yes', 'do not ask')
    .action((name: string, { yes }: { yes?: boolean }) =>
      finish(
        cli,
        cli.open((installation) => remove(cli, installation, name, yes)),
      ),
    );
}

async function revoke(cli: Cli, installation: Installation, partner: Partner, yes?: boolean): Promise<undefined> {
  if (partner.state === 'revoked')
    throw new AllianceError('illegal_transition', { details: `revoke: partner ${partner.cloudId} is revoked` });
  return end(cli, installation, partner, 'revoked', yes);
}

async function remove(cli: Cli, installation: Installation, word: string, yes?: boolean): Promise<undefined> {
  const partners = await installation.store.partners.list();
  const isPartner = partners.some(({ name, cloudId }) => name === word || cloudId === word);
  const invitation = isPartner ? undefined : await findOpenInvitation(installation, word);
  if (invitation) return cancel(cli, installation, invitation);
  return end(cli, installation, await installation.store.partners.resolve(word), 'removed', yes);
}

async function cancel(cli: Cli, { store }: Installation, invitation: InvitationFacts): Promise<undefined> {
  const { id, name } = invitation;
  await store.invitations.cancel(id);
  const label = invitationLabel(invitation);
  cli.print(
    { id: label, invitation: id, name, outcome: 'cancelled' },
    `invitation ${label}${name === null ? '' : ` (${name})`} is cancelled`,
  );
  return undefined;
}

async function end(
  cli: Cli,
  installation: Installation,
  partner: Partner,
  how: 'revoked' | 'removed',
  yes: boolean | undefined,
): Promise<undefined> {
  await confirm(cli, yes, `End the trust in ${shown(partner)} for good?`);
  const { told } = await endTrust(installation, partner, how);
  const word = told ? 'it was told' : partner.state === 'revoked' ? 'it was not told' : 'it was not told yet';
  cli.print(
    { cloud_id: partner.cloudId, name: partner.name, outcome: how, told },
    `${shown(partner)} is ${how}; ${word}`,
  );
}
