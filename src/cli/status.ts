/** `alliance status` */
import type { Command } from 'commander';
import { type Cli, exits } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { lookAround, type Status } from './statusView.ts';
import { formatDistance, formatDuration, formatFacts, formatTable, formatTime, printable } from './text.ts';

export function addStatus(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'status',
    summary: 'one screen: this broker, its Keystone, its partners, and what needs hands',
    more: 'Exit code 1 if anything needs hands: approvals, expiries 30, 7 and 1 days ahead, projects whose time ends, syncs of images that failed or were stopped, errors since the last contact.',
    examples: ['status', 'status --json'],
  }).action(() =>
    finish(
      cli,
      cli.open(async (installation) => {
        const status = await lookAround(installation);
        cli.print(status, describe(status, installation.clock.now()));
        return status.attention.length > 0 ? exits.failed : exits.done;
      }),
    ),
  );
}

const ago = (time: string | null, now: number): string => (time === null ? '-' : formatDistance(Date.parse(time), now));

function describe(status: Status, now: number): string[] {
  const { identity, broker, keystone, partners, attention } = status;
  const rows = partners.map((partner) => [
    partner.name === partner.cloud_id ? partner.name : `${partner.name} (${partner.cloud_id})`,
    partner.role,
    partner.state,
    partner.trust_till === null ? '-' : ago(partner.trust_till, now),
    ago(partner.last_contact, now),
    `${partner.sessions.ours}/${partner.sessions.theirs}`,
    partner.last_error === null ? '-' : `${partner.last_error.name}, ${ago(partner.last_error.at, now)}`,
  ]);
  return [
    ...formatFacts([
      ['cloud', `${status.cloud_id}, version ${status.version}`],
      ['broker', describeBroker(broker, now)],
      ['certificate', `till ${formatTime(Date.parse(identity.not_after))}, ${identity.days_left} days`],
      ['fingerprint', identity.fingerprint],
      ['keystone', describeKeystone(keystone)],
      ['invitations', `${status.open_invitations} open`],
    ]),
    '',
    ...(rows.length === 0
      ? ['No partners yet: alliance partner invite']
      : formatTable(['PARTNER', 'ROLE', 'STATE', 'TRUST ENDS', 'LAST CONTACT', 'SESSIONS', 'LAST ERROR'], rows)),
    '',
    ...(attention.length === 0 ? ['Nothing needs hands.'] : ['Needs hands:']),
    ...attention.map(({ message, remedy }) => `  - ${printable(message)} ${printable(remedy)}`),
  ];
}

function describeBroker(broker: Status['broker'], now: number): string {
  if (!broker.running) return 'not running on this host';
  const channels = broker.channels === null ? '' : `, channels ${broker.channels.out} out, ${broker.channels.in} in`;
  const ready = broker.answers === false ? ', DOES NOT ANSWER' : broker.ready === false ? ', NOT READY' : '';
  return `running, pid ${broker.pid}, up ${formatDuration(now - Date.parse(String(broker.started_at)))}${channels}${ready}`;
}

function describeKeystone({ url, error }: Status['keystone']): string {
  if (url === null) return 'not configured';
  return error === null ? `answers at ${url}` : error.message;
}
