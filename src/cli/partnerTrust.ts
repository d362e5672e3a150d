/** `alliance partner approve, set, renew, suspend, resume` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { approve, grantContinuity } from '../broker/partners.ts';
import { partnerConfig } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { pairingLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { effectiveState, type Role } from '../model/trust.ts';
import { type Cli, shown } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { viewPartner } from './partnerView.ts';
import { formatDuration, formatTime } from './text.ts';
import { collectEndpoints, endOfTrust, parseRole, parseTill, type Till } from './values.ts';

interface SetOptions {
  readonly name?: string;
  readonly role?: Role;
  readonly trustTill?: Till;
  readonly endpoint?: string[];
}

export function addTrust(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'approve <partner>',
    summary: 'approve a pending partner, with the code that its operator reads out',
    more: 'With --continuity instead: let a partner start anew once, where configuration requires continuity of sessions.',
    examples: ['partner approve west --code 4F7K-Q2ZM', 'partner approve west --continuity'],
  })
    .option('--code <code>', 'the verification code, as the other operator sees it')
    .option('--continuity', `let one new start of sessions through within ${formatDuration(pairingLimits.ttlMs)}`)
    .action((name: string, options: { code?: string; continuity?: boolean }) =>
      finish(
        cli,
        cli.withPartner(name, (partner, installation) => runApprove(cli, installation, partner, options)),
      ),
    );

  addCommand(group, {
    usage: 'set <partner>',
    summary: 'change name, role, end of trust or endpoints of a partner',
    more: 'The other side does not learn of it: agree on a change of role with its operator.',
    examples: ['partner set west --name backup-site', 'partner set west --endpoint tls://new.west.example:9443'],
  })
    .option('--name <name>', 'name of the partner here')
    .option('--role <role>', 'what the partner is to us: provider, consumer or both', parseRole)
    .option('--trust-till <time>', 'end of the trust: a date, a duration from now, or none', parseTill)
    .option(
      '--endpoint <endpoint>',
      'tls://HOST:PORT or tcp://HOST:PORT, replaces all; may be repeated',
      collectEndpoints,
    )
    .action((name: string, { endpoint, trustTill, ...names }: SetOptions) =>
      change(cli, name, async (partner, { store }) => {
        const changes = {
          ...names,
          ...(trustTill !== undefined && { trustTill: endOfTrust(trustTill) }),
          ...(endpoint && { endpoints: endpoint }),
        };
        if (Object.keys(changes).length === 0) throw usageError('There is nothing to set.');
        return store.partners.update(partner.uid, changes);
      }),
    );

  addCommand(group, {
    usage: 'renew <partner>',
    summary: 'set a new end of the trust, also after it has expired',
    examples: ['partner renew west --trust-till 2027-12-31', 'partner renew west --trust-till none'],
  })
    .requiredOption('--trust-till <time>', 'a date, a duration from now, or none for without end', parseTill)
    .action((name: string, { trustTill }: { trustTill: Till }) =>
      change(cli, name, (partner, { store }) =>
        store.partners.apply(partner.uid, 'renew', { trustTill: endOfTrust(trustTill) }),
      ),
    );

  for (const [event, summary] of [
    ['suspend', 'suspend the trust; running brokers close its channels within a second'],
    ['resume', 'resume a suspended trust'],
  ] as const)
    addCommand(group, { usage: `${event} <partner>`, summary, examples: [`partner ${event} west`] }).action(
      (name: string) => change(cli, name, (partner, { store }) => store.partners.apply(partner.uid, event)),
    );
}

/** A change of the partner, which is shown afterwards. */
function change(
  cli: Cli,
  name: string,
  work: (partner: Partner, installation: Installation) => Promise<Partner>,
): Promise<void> {
  return finish(
    cli,
    cli.withPartner(name, async (partner, installation) => {
      tell(cli, installation, await work(partner, installation));
      return undefined;
    }),
  );
}

function tell(cli: Cli, { clock }: Installation, partner: Partner): void {
  const end = partner.trustTill === null ? 'without end' : `till ${formatTime(partner.trustTill)}`;
  const state = effectiveState(partner, clock.now());
  cli.print(viewPartner(partner, clock.now()), `${shown(partner)} is ${state}, ${partner.role}, trusted ${end}`);
}

async function runApprove(
  cli: Cli,
  installation: Installation,
  partner: Partner,
  { code, continuity }: { code?: string; continuity?: boolean },
): Promise<undefined> {
  if ((code === undefined) === !continuity)
    throw usageError('Give --code CODE, or --continuity for an active partner.');
  if (code !== undefined) {
    tell(cli, installation, await approve(installation, partner, code));
    return;
  }
  const state = effectiveState(partner, installation.clock.now());
  if (state !== 'active')
    throw new AllianceError('illegal_transition', { details: `approve --continuity: ${partner.cloudId} is ${state}` });
  if (partnerConfig(installation.config, partner.cloudId).continuity !== 'required')
    throw usageError(`partners.${partner.cloudId}.continuity is not "required", so there is nothing to approve.`);
  await grantContinuity(installation, partner, pairingLimits.ttlMs);
  const granted = await installation.store.partners.get(partner.uid);
  cli.print(
    viewPartner(granted, installation.clock.now()),
    `${shown(partner)} may start anew once within ${formatDuration(pairingLimits.ttlMs)}`,
  );
}
