/** `alliance partner invite` */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { invite } from '../broker/partners.ts';
import { AllianceError } from '../core/errors.ts';
import type { InvitationId } from '../core/ids.ts';
import { pairingLimits, trustLimits } from '../core/limits.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import type { Role } from '../model/trust.ts';
import { findBroker } from './brokerFile.ts';
import { type Cli, shown } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { viewPartner } from './partnerView.ts';
import { whileWaiting } from './progress.ts';
import { formatDuration, formatTime, isoTime } from './text.ts';
import { endOfTrust, parseDuration, parseRole, parseTill, type Till } from './values.ts';

interface Options {
  readonly role?: Role;
  readonly name?: string;
  readonly ttl?: number;
  readonly trustTill?: Till;
  readonly for?: string;
  readonly approve?: boolean;
  readonly replaceIdentity?: boolean;
  readonly wait?: boolean;
}

export function addInvite(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'invite',
    summary: 'make a one-time invitation; stdout is the token alone',
    more: 'Hand the token to the operator of the other cloud by a way that nobody else reads. It is shown only once.',
    examples: ['partner invite', 'partner invite --role consumer --for west --ttl 1h --wait'],
  })
    .option('--role <role>', 'what the partner will be to us: provider, consumer or both', parseRole, 'both')
    .option('--name <name>', 'name of the partner here (default: its cloud_id)')
    .option('--ttl <duration>', 'how long it can be accepted, at most 7d (default: 15m)', parseDuration)
    .option('--trust-till <time>', 'end of the trust: a date, or a duration from now', parseTill)
    .option('--for <cloud_id>', 'only that cloud can accept it')
    .option('--approve', 'approve in advance whoever accepts it')
    .option('--replace-identity', 'let a removed cloud_id come back with another key')
    .option('--wait', 'wait until it is accepted, and show by whom')
    .action((options: Options) =>
      finish(
        cli,
        cli.open((installation) => runInvite(cli, installation, options)),
      ),
    );
}

async function runInvite(cli: Cli, installation: Installation, options: Options): Promise<undefined> {
  const { ttl: ttlMs, for: forCloudId, wait, trustTill: till, ...rest } = options;
  const trustTill = till === undefined ? undefined : endOfTrust(till);
  const { token, invitation } = await invite(installation, { ...rest, ttlMs, forCloudId, trustTill });
  const { expiresAt, cloudId, endpoints, fingerprint, role } = invitation;
  const value = {
    token,
    invitation: invitation.id.toString('base64url'),
    cloud_id: cloudId,
    role,
    endpoints,
    fingerprint: formatFingerprint(fingerprint),
    expires_at: isoTime(expiresAt),
  };
  if (wait) cli.event({ event: 'invited', ...value }, token);
  else cli.print(value, token);
  cli.hint(`It can be accepted within ${formatDuration(ttlMs ?? pairingLimits.ttlMs)}, till ${formatTime(expiresAt)}.`);
  cli.hint('There: alliance partner accept -      (and paste the token)');
  if (!findBroker(installation.home).alive)
    cli.hint('No broker runs here: start `alliance serve`, or nobody can accept it.');
  if (!wait) return;
  const id = value.invitation as InvitationId;
  const partner = await whileWaiting(cli, 'Waiting until it is accepted ...', () => untilAccepted(installation, id));
  const { cloudId: who, code, state } = partner;
  const next = state === 'pending' ? `code ${code}; alliance partner approve ${who} --code CODE` : state;
  cli.event(
    { event: 'accepted', partner: viewPartner(partner, installation.clock.now()) },
    `accepted by ${shown(partner)}: ${next}`,
  );
}

async function untilAccepted({ store, clock }: Installation, id: InvitationId): Promise<Partner> {
  for (;;) {
    const found = await store.invitations.find(id);
    if (found?.partnerUid) return store.partners.get(found.partnerUid);
    if (!found || clock.now() >= found.expiresAt)
      throw new AllianceError('invitation_refused', { details: 'Nobody accepted it in time.' });
    await delay(trustLimits.epochPollMs);
  }
}
