/** `alliance partner accept` */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { accept, refreshPairing } from '../broker/partners.ts';
import { AllianceError } from '../core/errors.ts';
import { taskLimits } from '../core/limits.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import { type Cli, shown } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { readSecret } from './input.ts';
import { viewPartner } from './partnerView.ts';
import { whileWaiting } from './progress.ts';
import { formatFacts } from './text.ts';

interface Options {
  readonly file?: string;
  readonly name?: string;
  readonly replaceIdentity?: boolean;
  readonly wait?: boolean;
}

export function addAccept(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'accept [token]',
    summary: 'accept an invitation',
    more: `The token comes as an argument, from standard input (-), from a file, or from a prompt without echo.
Read the code out to the operator who invited you; he approves with it.`,
    examples: ['partner accept -', 'partner accept --file invitation.txt --wait'],
  })
    .option('--file <path>', 'file that holds the token')
    .option('--name <name>', 'name of the partner here (default: its cloud_id)')
    .option('--replace-identity', 'let a removed cloud_id come back with another key')
    .option('--wait', 'wait until the other operator has approved')
    .action((token: string | undefined, options: Options) => finish(cli, runAccept(cli, token, options)));
}

async function runAccept(cli: Cli, argument: string | undefined, options: Options): Promise<undefined> {
  const token = await readSecret(cli, { what: 'token', argument, file: options.file });
  await cli.open(async (installation) => {
    const partner = await whileWaiting(cli, 'Pairing ...', () => accept(installation, token, options));
    tell(cli, installation, partner, options.wait ?? false);
    if (!options.wait || partner.state !== 'pending') return;
    const approved = await whileWaiting(cli, 'Waiting for the approval ...', () =>
      untilApproved(installation, partner),
    );
    cli.event(
      { event: 'approved', partner: viewPartner(approved, installation.clock.now()) },
      `approved: ${shown(approved)} is ${approved.state}`,
    );
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

/** Asks the inviter, or learns it from a broker that runs here and asked before us. */
async function untilApproved(installation: Installation, pending: Partner): Promise<Partner> {
  const { store } = installation;
  for (;;) {
    const partner = await store.partners.get(pending.uid);
    if (partner.state === 'active') return partner;
    if (partner.state !== 'pending')
      throw new AllianceError('partner_not_active', { details: `${partner.cloudId} is ${partner.state}.` });
    const asked = await refreshPairing(installation, partner).catch((thrown: unknown) => {
      if (thrown instanceof AllianceError && (thrown.retryable || thrown.errorName === 'illegal_transition'))
        return partner;
      throw thrown;
    });
    if (asked.state === 'active') return asked;
    await delay(taskLimits.pairingMs / 2);
  }
}
