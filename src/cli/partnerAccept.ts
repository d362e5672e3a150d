/** `alliance partner accept` */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { accept, refreshPairing } from '../broker/partners.ts';
import { AllianceError } from '../core/errors.ts';
import { pairingLimits, taskLimits } from '../core/limits.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import { findBroker } from './brokerFile.ts';
import { type Cli, exits, shown } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { readSecret } from './input.ts';
import { viewPartner } from './partnerView.ts';
import { whileWaiting } from './progress.ts';
import { formatDuration, formatFacts } from './text.ts';
import { parseDuration } from './values.ts';

interface Options {
  readonly file?: string;
  readonly name?: string;
  readonly replaceIdentity?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

export function addAccept(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'accept [token]',
    summary: 'accept an invitation',
    more: `The token comes as an argument, from standard input (-), from a file, or from a prompt without echo.
Read the code out to the operator who invited you; he approves with it. Exit code 3: it is stored, and not approved yet.`,
    examples: ['partner accept -', 'partner accept --file invitation.txt --wait'],
  })
    .option('--file <path>', 'file that holds the token')
    .option('--name <name>', 'name of the partner here (default: its cloud_id)')
    .option('--replace-identity', 'let a removed cloud_id come back with another key')
    .option('--wait', 'wait until the other operator has approved')
    .option('--timeout <duration>', `how long to wait (default: ${formatDuration(pairingLimits.ttlMs)})`, parseDuration)
    .action((token: string | undefined, options: Options) => finish(cli, runAccept(cli, token, options)));
}

async function runAccept(cli: Cli, argument: string | undefined, options: Options): Promise<number> {
  const { wait = false, timeout } = options;
  if (timeout !== undefined && !wait) throw usageError('--timeout is for --wait.', 'timeout');
  const token = await readSecret(cli, { what: 'token', argument, file: options.file });
  return cli.open(async (installation) => {
    const partner = await whileWaiting(cli, 'Pairing ...', () => accept(installation, token, options));
    tell(cli, installation, partner, wait);
    if (!wait || partner.state !== 'pending') return exits.done;
    const waitMs = timeout ?? pairingLimits.ttlMs;
    const approved = await whileWaiting(cli, 'Waiting for the approval ...', () =>
      untilApproved(installation, partner, waitMs),
    );
    const last = approved ?? partner;
    const value = { partner: viewPartner(last, installation.clock.now()) };
    if (approved) cli.event({ event: 'approved', ...value }, `approved: ${shown(approved)} is ${approved.state}`);
    else cli.event({ event: 'pending', ...value }, notYet(cli, installation, partner, waitMs));
    return approved ? exits.done : exits.partly;
  });
}

function tell(cli: Cli, { view, clock }: Installation, partner: Partner, streams: boolean): void {
  const own = formatFingerprint(view.current.identity.fingerprint);
  const value = { own_fingerprint: own, partner: viewPartner(partner, clock.now()) };
  const pending = partner.state === 'pending';
  const lines = [
    ...formatFacts([
      ['partner', shown(partner)],
      ['role', partner.role],
      ['state', pending ? 'pending, until the other operator has approved' : partner.state],
      ['code', partner.code ?? 'none: approved in advance'],
      ['our fingerprint', own],
      ['fingerprint', partner.keys.map((key) => formatFingerprint(key.fingerprint))],
    ]),
    ...(pending
      ? ['', `Read the code out to the other operator: alliance partner approve ${view.cloudId} --code ...`]
      : []),
  ];
  if (streams) cli.event({ event: 'accepted', ...value }, lines.join('\n'));
  else cli.print(value, lines);
}

function notYet(cli: Cli, { home }: Installation, partner: Partner, waitMs: number): string {
  const running = findBroker(home).alive
    ? 'the broker here goes on asking'
    : `start \`${cli.program} serve\`, which goes on asking`;
  return [
    `not approved within ${formatDuration(waitMs)}: ${shown(partner)} is stored, and ${running}`,
    `see \`${cli.program} partner show ${partner.cloudId}\``,
  ].join('; ');
}

/** Asks the inviter, or learns it from a broker that runs here and asked before us; undefined when it took too long. */
async function untilApproved(
  installation: Installation,
  pending: Partner,
  waitMs: number,
): Promise<Partner | undefined> {
  const { store } = installation;
  const ended = new AbortController();
  const late = delay(waitMs, undefined, { signal: ended.signal }).catch(() => undefined);
  const ask = async (): Promise<Partner> => {
    const partner = await store.partners.get(pending.uid);
    if (partner.state !== 'pending') return partner;
    return refreshPairing(installation, partner).catch((thrown: unknown) => {
      if (thrown instanceof AllianceError && (thrown.retryable || thrown.errorName === 'illegal_transition'))
        return partner;
      throw thrown;
    });
  };
  try {
    for (;;) {
      const partner = await Promise.race([ask(), late]);
      if (partner === undefined || partner.state === 'active') return partner;
      if (partner.state !== 'pending')
        throw new AllianceError('partner_not_active', { details: `${partner.cloudId} is ${partner.state}.` });
      await Promise.race([delay(taskLimits.pairingMs / 2), late]);
    }
  } finally {
    ended.abort();
  }
}
