/** `alliance partner doctor` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import type { Partner } from '../model/partner.ts';
import { type Cli, exits, shown } from './cli.ts';
import { type Check, examine } from './examination.ts';
import { addCommand, finish } from './group.ts';
import { whileWaiting } from './progress.ts';
import { formatTable } from './text.ts';

export function addDoctor(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'doctor <partner>',
    summary: 'find out what keeps a partner from answering, step by step',
    more: `Checks trust, whether the partner knows our key, DNS, TCP, TLS and pin of each endpoint, session, clocks, version and
the partner's Keystone, one line each with the remedy. Exit code 1 if any of them fails.`,
    examples: ['partner doctor west'],
  }).action((name: string) =>
    finish(
      cli,
      cli.withPartner(name, (partner, installation) => runDoctor(cli, installation, partner)),
    ),
  );
}

async function runDoctor(cli: Cli, installation: Installation, partner: Partner): Promise<number> {
  const checks = await whileWaiting(cli, `Examining ${shown(partner)} ...`, async ({ say }) => {
    const done: Check[] = [];
    for await (const check of examine(installation, partner)) {
      done.push(check);
      say(`${check.name}: ${check.outcome}`);
    }
    return done;
  });
  const healthy = checks.every(({ outcome }) => outcome !== 'failed');
  cli.print(
    { partner: partner.cloudId, ok: healthy, checks },
    formatTable(
      ['CHECK', 'RESULT', 'WHAT'],
      checks.map(({ name, outcome, message, remedy }) => [
        name,
        outcome,
        remedy === null ? message : `${message} ${remedy}`,
      ]),
    ),
  );
  return healthy ? exits.done : exits.failed;
}
