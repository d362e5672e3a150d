/** `alliance ping` */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { AllianceError } from '../core/errors.ts';
import { clientLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { ping } from '../rproxy/ping.ts';
import { type Cli, exits, shown } from './cli.ts';
import { type ErrorView, viewError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { printable } from './text.ts';
import { parseCount, parseDuration, parsePause } from './values.ts';

interface Options {
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
}

type Reply = { readonly seq: number; readonly time_ms: number | null; readonly error?: ErrorView };

export function addPing(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'ping <partner>',
    summary: 'measure round-trip times to a partner over the sealed channel',
    more: 'Exit code 1 if all are lost, 3 if some are.',
    examples: ['ping west', 'ping west --count 10 --interval 0.2'],
  })
    .option('--count <n>', 'how many', parseCount, 4)
    .option('--interval <pause>', 'pause between two: seconds, or a duration such as 200ms', parsePause, 1000)
    .option('--timeout <duration>', 'how long to wait for each', parseDuration, clientLimits.callTimeoutMs)
    .action((name: string, options: Options) =>
      finish(
        cli,
        cli.withPartner(name, (partner, installation) => runPing(cli, installation, partner, options)),
      ),
    );
}

async function runPing(
  cli: Cli,
  installation: Installation,
  partner: Partner,
  { count, interval, timeout }: Options,
): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal);
  if (!cli.json) cli.line(`PING ${shown(partner)} ${printable(partner.endpoints.join(' '))}`);
  const replies: Reply[] = [];
  try {
    for (let seq = 1; seq <= count && !stop.signal.aborted; seq++) {
      if (seq > 1) await delay(interval, undefined, { signal: stop.signal }).catch(() => undefined);
      if (stop.signal.aborted) break;
      const reply = await once(installation, partner, seq, timeout);
      replies.push(reply);
      if (!cli.json) cli.line(describeReply(partner, reply));
    }
  } finally {
    process.off('SIGINT', onSignal);
  }
  const summary = summarise(replies);
  cli.print({ partner: partner.cloudId, replies, ...summary }, describeSummary(partner, summary));
  if (summary.received === summary.sent) return exits.done;
  return summary.received === 0 ? exits.failed : exits.partly;
}

async function once({ pool, view }: Installation, partner: Partner, seq: number, timeoutMs: number): Promise<Reply> {
  try {
    // What is measured is the way there and back, not the handshake.
    await pool.open(partner);
    const { roundTripMs } = await ping(pool, view.cloudId, partner, { timeoutMs });
    return { seq, time_ms: rounded(roundTripMs) };
  } catch (thrown) {
    // What only waiting or the way may cure is a lost ping; all else is an error of the command.
    if (!(thrown instanceof AllianceError) || !(thrown.retryable || thrown.errorName === 'pin_mismatch')) throw thrown;
    return { seq, time_ms: null, error: viewError(thrown) };
  }
}

const rounded = (ms: number): number => Number(ms.toFixed(3));

function summarise(replies: readonly Reply[]) {
  const times = replies.flatMap(({ time_ms: time }) => (time === null ? [] : [time]));
  const average = times.reduce((sum, time) => sum + time, 0) / times.length;
  const variance = times.reduce((sum, time) => sum + (time - average) ** 2, 0) / times.length;
  return {
    sent: replies.length,
    received: times.length,
    loss_percent: replies.length === 0 ? 0 : rounded(100 * (1 - times.length / replies.length)),
    round_trip_ms:
      times.length === 0
        ? null
        : {
            min: Math.min(...times),
            avg: rounded(average),
            max: Math.max(...times),
            mdev: rounded(Math.sqrt(variance)),
          },
  };
}

function describeReply({ cloudId }: Partner, { seq, time_ms: time, error }: Reply): string {
  if (time === null) return `no answer: seq=${seq} ${printable(error?.message ?? '')}`;
  return `pong from ${cloudId}: seq=${seq} time=${time} ms`;
}

function describeSummary({ cloudId }: Partner, summary: ReturnType<typeof summarise>): string[] {
  const { sent, received, loss_percent: loss, round_trip_ms: times } = summary;
  return [
    '',
    `--- ${cloudId} ping statistics ---`,
    `${sent} sent, ${received} received, ${loss}% lost`,
    ...(times ? [`rtt min/avg/max/mdev = ${times.min}/${times.avg}/${times.max}/${times.mdev} ms`] : []),
  ];
}
