/** The group `rpc`: pings, token checks and handshakes against the peers, memory and start of the broker. */
import { setTimeout as delay } from 'node:timers/promises';
import { Children, type Client, type Server } from './children.ts';
import { type Clouds, createClouds } from './clouds.ts';
import type { ContenderName } from './contenders/index.ts';
import { onOneCore } from './cores.ts';
import type { Load } from './load.ts';
import type { Figure } from './report.ts';
import type { Serving } from './serving.ts';
import { median, medianRatio } from './statistics.ts';

interface Series {
  readonly name: string;
  readonly contender: ContenderName;
  readonly connections: number;
  readonly inFlight: number;
  readonly oneCore?: true;
  readonly warmupMs?: number;
  readonly durationMs?: number;
}

const sequential = { connections: 1, inFlight: 1, oneCore: true } as const;
const pipelined = { connections: 16, inFlight: 4 };
/** Enough to keep both cores at work; longer than the others, because there are fewer of them to make the code warm. */
const parallel = { connections: 6, inFlight: 1, warmupMs: 1000, durationMs: 2000 };

const series: readonly Series[] = [
  { name: 'npm_thrift_sequential', contender: 'npmThrift', ...sequential },
  { name: 'ping_sequential', contender: 'plain', ...sequential },
  { name: 'raw_echo_sequential', contender: 'rawEcho', ...sequential },
  { name: 'npm_thrift_pipelined', contender: 'npmThrift', ...pipelined },
  { name: 'ping_pipelined', contender: 'plain', ...pipelined },
  { name: 'raw_echo_pipelined', contender: 'rawEcho', ...pipelined },
  { name: 'grpc_js_pipelined', contender: 'grpcJs', ...pipelined },
  { name: 'sealed_ping_pipelined', contender: 'sealed', ...pipelined },
  { name: 'validate_soft_sealed_pipelined', contender: 'validateSoft', ...pipelined },
  { name: 'handshakes', contender: 'handshakes', ...parallel },
  { name: 'rsa_sign', contender: 'rsaSign', connections: 1, inFlight: 1 },
];

const ratios: readonly { name: string; of: string; to: string; atLeast: number }[] = [
  { name: 'ping_sequential_vs_npm_thrift', of: 'ping_sequential', to: 'npm_thrift_sequential', atLeast: 2 },
  { name: 'ping_pipelined_vs_npm_thrift', of: 'ping_pipelined', to: 'npm_thrift_pipelined', atLeast: 5 },
  { name: 'ping_pipelined_vs_raw_echo', of: 'ping_pipelined', to: 'raw_echo_pipelined', atLeast: 0.5 },
  { name: 'ping_pipelined_vs_grpc_js', of: 'ping_pipelined', to: 'grpc_js_pipelined', atLeast: 20 },
  {
    name: 'sealed_ping_pipelined_vs_npm_thrift',
    of: 'sealed_ping_pipelined',
    to: 'npm_thrift_pipelined',
    atLeast: 2.5,
  },
  {
    name: 'validate_soft_sealed_pipelined_vs_npm_thrift_ping',
    of: 'validate_soft_sealed_pipelined',
    to: 'npm_thrift_pipelined',
    atLeast: 2,
  },
  { name: 'handshakes_vs_rsa_sign', of: 'handshakes', to: 'rsa_sign', atLeast: 0.35 },
];

const warmupMs = 300;
const durationMs = 1000;
/** Until a broker that has just answered has put away what it needed for that. */
const settleMs = 2000;

export async function runRpc(rounds: number, say: (line: string) => void): Promise<Figure[]> {
  const clouds = await createClouds();
  try {
    const start = await measureStart(clouds, rounds, say);
    const rates = await measureRates(clouds, rounds, say);
    return [
      ...ratios.map(({ name, of, to, atLeast }) => ({
        name,
        value: medianRatio(rates.get(of)!, rates.get(to)!),
        target: { atLeast },
      })),
      ...start,
      ...series.map(({ name }) => ({ name: `${name}_per_s`, value: median(rates.get(name)!) })),
    ];
  } finally {
    await clouds.stop();
  }
}

const loadOn = ({ callerHome: home, token }: Clouds, port: number): Load => ({
  port,
  home,
  token,
  connections: 1,
  inFlight: 1,
  warmupMs,
  durationMs,
});

/** Each time a new process: when it is ready, and its memory once a partner is attached and silent. */
async function measureStart(clouds: Clouds, rounds: number, say: (line: string) => void): Promise<Figure[]> {
  const [readyMs, rssMib]: [number[], number[]] = [[], []];
  for (let round = 1; round <= rounds; round++) {
    const children = new Children();
    const serving = await clouds.serve();
    try {
      readyMs.push(serving.readyMs);
      const partner = await children.client('idlePartner');
      await partner.measure(loadOn(clouds, clouds.port));
      await delay(settleMs);
      rssMib.push(serving.rssMib());
    } finally {
      await children.stop();
      await serving.stop();
    }
    say(`start ${round}/${rounds}: ready in ${readyMs.at(-1)!.toFixed(0)} ms, ${rssMib.at(-1)!.toFixed(1)} MiB`);
  }
  return [
    { name: 'idle_rss_mib', value: median(rssMib), target: { atMost: 110 } },
    { name: 'start_to_ready_ms', value: median(readyMs) },
  ];
}

/** All in turn in each round, in the other direction every second time, so that none always follows the same one. */
async function measureRates(
  clouds: Clouds,
  rounds: number,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const children = new Children();
  const serving = await clouds.serve();
  try {
    const measure = await startContenders(clouds, serving, children);
    const rates = new Map<string, number[]>(series.map(({ name }) => [name, []]));
    // The first round meets code that is not compiled yet, and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const each of round % 2 === 0 ? series : series.toReversed()) {
        const perS = await measure(each);
        if (round > 0) rates.get(each.name)!.push(perS);
        say(`round ${round}/${rounds}: ${each.name} ${perS.toFixed(0)}/s`);
      }
    }
    return rates;
  } finally {
    await children.stop();
    await serving.stop();
  }
}

async function startContenders(
  clouds: Clouds,
  serving: Serving,
  children: Children,
): Promise<(series: Series) => Promise<number>> {
  const pairs = new Map<ContenderName, { client: Client; server: Server }>();
  const peers: readonly ContenderName[] = ['npmThrift', 'rawEcho', 'grpcJs'];
  for (const { contender } of series) {
    if (pairs.has(contender)) continue;
    const server = peers.includes(contender)
      ? await children.serve(contender)
      : { port: clouds.port, pid: serving.pid };
    pairs.set(contender, { client: await children.client(contender), server });
  }
  return ({ name: _, contender, oneCore, ...load }) => {
    const { client, server } = pairs.get(contender)!;
    const measure = () => client.measure({ ...loadOn(clouds, server.port), ...load });
    return oneCore ? onOneCore([client.pid, server.pid], measure) : measure();
  };
}
