/** `alliance demo`: two clouds, each with a broker and a service, and the whole story between them. */
import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import { formatFingerprint } from '../crypto/certificate.ts';
import { type Cli, exits } from './cli.ts';
import { type DemoCloud, startDemoCloud } from './demoCloud.ts';
import { tellImageStory } from './demoImages.ts';
import { tellServiceStory } from './demoService.ts';
import { tellStory } from './demoStory.ts';
import { describeFailure } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { startSyncProgress } from './imageProgress.ts';
import { openDemoRoot } from './staging.ts';
import { formatDuration } from './text.ts';

export function addDemo(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'demo',
    summary:
      'two clouds with a broker each, on this host: pair, validate tokens, accept them in a service, sync images',
    more: 'Uses free ports and temporary directories. Stays up afterwards, until Ctrl-C.',
    examples: ['demo', 'demo --exit'],
  })
    .option('--exit', 'end after the story; exit code 1 if anything came out wrong')
    .action((options: { exit?: boolean }) => finish(cli, demo(cli, options.exit ?? false)));
}

/** Colours where there is a terminal that wants them. */
function painter({ world: { stdout, env } }: Cli) {
  const on = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  const paint = (code: number) => (text: string) => (on ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { bold: paint(1), dim: paint(2), green: paint(32), red: paint(31) };
}

async function demo(cli: Cli, exit: boolean): Promise<number> {
  const paint = painter(cli);
  const startedAt = performance.now();
  const ended = untilSignal();
  const root = openDemoRoot();
  const removeRoot = () => rmSync(root, { recursive: true, force: true });
  // A second Ctrl-C and a reader that has gone end the process on the spot.
  process.once('exit', removeRoot);
  const clouds: DemoCloud[] = [];
  let failed = 0;
  let number = 0;

  /** Runs one step and tells it in one line; false when it came out wrong. */
  const step = async (title: string, run: () => Promise<string>): Promise<boolean> => {
    number += 1;
    const from = performance.now();
    let outcome: string;
    let ok = true;
    try {
      outcome = await run();
    } catch (thrown) {
      ok = false;
      failed += 1;
      outcome = describeFailure(thrown);
    }
    const ms = performance.now() - from;
    const head = `${String(number).padStart(2)}. ${paint.bold(title)}`;
    const time = paint.dim(`(${formatDuration(ms)})`);
    const mark = ok ? paint.green('ok') : paint.red('WRONG');
    cli.event(
      { event: 'step', number, title, ok, outcome, duration_ms: Number(ms.toFixed(1)) },
      `${head}\n    ${mark}  ${outcome} ${time}`,
    );
    return ok;
  };

  try {
    const log = cli.log;
    for (const [cloudId, other] of [
      ['east', 'west'],
      ['west', 'east'],
    ] as const)
      await step(`${cloudId}: a cloud with Keystone, Glance, a broker and a service`, async () => {
        const cloud = await startDemoCloud({ cloudId, root, log, partners: [other] });
        clouds.push(cloud);
        const { identity } = cloud.broker.installation.view.current;
        return `Keystone ${cloud.keystone.url}, key ${formatFingerprint(identity.fingerprint).slice(0, 30)}...`;
      });
    const [east, west] = clouds;
    const { stderr } = cli.world;
    const progress = () => (stderr.isTTY ? startSyncProgress(stderr) : undefined);
    const story =
      east && west
        ? [...tellStory(east, west), ...tellServiceStory(east, west), ...tellImageStory(east, west, progress)]
        : [];
    for (const { title, run } of story) if (!(await step(title, run))) break;

    const total = performance.now() - startedAt;
    cli.event(
      { event: 'done', ok: failed === 0, steps: number, duration_ms: Number(total.toFixed(1)) },
      `\n${failed === 0 ? paint.green('All of it worked') : paint.red('Something went wrong')}, in ${formatDuration(total)}.`,
    );
    if (exit || !east || !west || failed > 0) return failed === 0 ? exits.done : exits.failed;
    invitePlay(cli, east, west);
    await ended;
    cli.note('Cleaning up ...');
    return exits.done;
  } finally {
    for (const cloud of clouds.reverse()) await cloud.stop();
    removeRoot();
    process.off('exit', removeRoot);
  }
}

/** How to talk to both homes from another terminal. */
function invitePlay(cli: Cli, east: DemoCloud, west: DemoCloud): void {
  const run = commandLine();
  const commands = [
    `${run} --home ${west.home} status`,
    `${run} --home ${west.home} ping east`,
    `${run} --home ${west.home} endpoints east`,
    `echo ${east.keystone.demoPassword} | ${run} --home ${west.home} token issue --partner east --user demo --project demo --password-file /dev/stdin > ${west.home}/token`,
    `${run} --home ${west.home} token validate --partner east --file ${west.home}/token`,
    `curl --header "X-Auth-Token: a1.east.$(cat ${west.home}/token)" ${west.service.url}`,
    `${run} --home ${west.home} token explain "a1.east.$(cat ${west.home}/token)"`,
    `${run} --home ${west.home} image status --from east`,
    `${run} --home ${east.home} partner show west`,
    `${run} --home ${east.home} partner suspend west`,
  ];
  const homes = { east: east.home, west: west.home };
  cli.event(
    { event: 'up', homes, commands },
    `\nBoth clouds stay up until Ctrl-C. From another terminal:\n\n${commands.map((command) => `  ${command}`).join('\n')}\n`,
  );
}

/** This program, as it was started, for another terminal. */
function commandLine(): string {
  const [program = 'node', script = ''] = process.argv;
  if (script.endsWith('/alliance')) return 'alliance';
  const words = [program.replace(/^.*\//, ''), ...process.execArgv, script];
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) process.exit(exits.interrupted);
      asked = true;
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
