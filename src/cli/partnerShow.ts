/** `alliance partner list, show` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { invitationLabel, openInvitations } from '../broker/invitations.ts';
import { partnerConfig } from '../core/config.ts';
import { effectiveState } from '../model/trust.ts';
import type { Cli } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { describePartner, viewInvitation, viewLimits, viewPartner } from './partnerView.ts';
import { formatDistance, formatTable, formatTime } from './text.ts';

export function addShowing(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list partners, and invitations that are still open',
    examples: ['partner list', 'partner list --json'],
  }).action(() =>
    finish(
      cli,
      cli.open((installation) => list(cli, installation)),
    ),
  );

  addCommand(group, {
    usage: 'show <partner>',
    summary: 'show all that is known of a partner: state, keys, verification code',
    more: 'The partner is named by its cloud_id or its name here.',
    examples: ['partner show west'],
  }).action((name: string) =>
    finish(
      cli,
      cli.withPartner(name, async (partner, { clock, config }) => {
        const limits = viewLimits(partnerConfig(config, partner.cloudId));
        cli.print({ ...viewPartner(partner, clock.now()), limits }, describePartner(partner, limits, clock.now()));
        return undefined;
      }),
    ),
  );
}

async function list(cli: Cli, installation: Installation): Promise<undefined> {
  const now = installation.clock.now();
  const partners = await installation.store.partners.list();
  const invitations = await openInvitations(installation);
  const value = {
    partners: partners.map((partner) => viewPartner(partner, now)),
    invitations: invitations.map(viewInvitation),
  };
  const heading = ['NAME', 'CLOUD_ID', 'ROLE', 'STATE', 'TRUST TILL', 'LAST CONTACT', 'INVITATION'];
  const rows = [
    ...partners.map((partner) => [
      partner.name,
      partner.cloudId,
      partner.role,
      effectiveState(partner, now),
      partner.trustTill === null ? '-' : formatTime(partner.trustTill),
      partner.lastContact === null ? '-' : formatDistance(partner.lastContact, now),
      '-',
    ]),
    ...invitations.map(({ id, name, forCloudId, role, trustTill, expiresAt }) => [
      name ?? '-',
      forCloudId ?? '-',
      role,
      `invited, open ${formatDistance(expiresAt, now)}`.replace('open in', 'open for'),
      trustTill === null ? '-' : formatTime(trustTill),
      '-',
      invitationLabel({ id }),
    ]),
  ];
  cli.print(value, formatTable(heading, rows));
  if (rows.length === 0) cli.hint('There are no partners yet: alliance partner invite');
  return undefined;
}
