/** The group `tokens`: what the facade says of partners' tokens, beside what Keystone says of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { readMetric } from '../test/support/cloud.ts';
import { Children, type Client } from './children.ts';
import { isRealInstalled, revoke } from './keystones.ts';
import type { Load } from './load.ts';
import type { Figure } from './report.ts';
import { median, medianRatio } from './statistics.ts';
import { createTokenClouds, type TokenClouds } from './tokenClouds.ts';

const connections = 16;
const [warmupMs, durationMs] = [500, 1500];
/** Different tokens on each side in each round. */
const distinct = 96;
const askers = 500;
const askAgainMs = 20;
const refusalMs = 5000;
const readyMs = 15_000;

type Say = (line: string) => void;

const portOf = (url: string): number => Number(new URL(url).port);

interface Bench {
  readonly clouds: TokenClouds;
  readonly client: Client;
  readonly load: Load;
}

/** Status of one validation at the facade. */
async function ask(pool: Pool, caller: string, subject: string): Promise<number> {
  const headers = { 'x-auth-token': caller, 'x-subject-token': subject };
  const { statusCode, body } = await pool.request({ method: 'GET', path: '/v3/auth/tokens', headers });
  await body.dump();
  return statusCode;
}

const atFacade = ({ facadePort }: TokenClouds, count: number): Pool =>
  new Pool(`http://127.0.0.1:${facadePort}`, { connections: count, pipelining: 1 });

/** Until answers are remembered: once west follows the revocations of east. */
async function untilCached({ clouds, load }: Bench): Promise<void> {
  const pool = atFacade(clouds, 1);
  const http = { host: '127.0.0.1', port: clouds.west.httpPort };
  const giveUpAt = performance.now() + readyMs;
  while ((await readMetric(http, 'alliance_foreign_answers_total', { source: 'cache' })) === 0) {
    if (performance.now() > giveUpAt) throw new Error('The facade remembers nothing.');
    const status = await ask(pool, load.caller!, load.token);
    if (status !== 200) await delay(askAgainMs);
  }
  await pool.destroy();
}

interface Rates {
  readonly facade: number[];
  readonly keystone: number[];
}

/** In each round both sides in turn, in the other order every second time; the first round meets cold code and does not count. */
async function compare(
  name: string,
  rounds: number,
  sides: { readonly [side in keyof Rates]: () => Promise<number> },
  say: Say,
): Promise<Rates> {
  const rates: Rates = { facade: [], keystone: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const side of round % 2 === 0 ? (['facade', 'keystone'] as const) : (['keystone', 'facade'] as const)) {
      const perS = await sides[side]();
      if (round > 0) rates[side].push(perS);
      say(`${name} ${round}/${rounds}: ${side} ${perS.toFixed(0)}/s`);
    }
  }
  return rates;
}

/** The same token again and again: a foreign one at the facade, one of west at west's Keystone. */
async function measureCached({ clouds, client, load }: Bench, rounds: number, say: Say): Promise<Rates> {
  const local = { ...load, port: portOf(clouds.west.keystone.url), token: await clouds.west.member.issue() };
  return compare('cached', rounds, { facade: () => client.measure(load), keystone: () => client.measure(local) }, say);
}

/** Never the same token twice: tokens of east at west's facade, and at the Keystone that issued them. */
async function measureUncached({ clouds, client, load }: Bench, rounds: number, say: Say): Promise<Rates> {
  const { east, qualify } = clouds;
  const eastCaller = await clouds.eastCaller();
  const facade = async (): Promise<number> => {
    const subjects = (await east.member.issueMany(distinct)).map(qualify);
    return client.measure({ ...load, subjects });
  };
  const keystone = async (): Promise<number> => {
    const subjects = await east.member.issueMany(distinct);
    return client.measure({ ...load, port: portOf(east.keystone.url), caller: eastCaller, subjects });
  };
  return compare('uncached', rounds, { facade, keystone }, say);
}

/** Calls that reach the issuer's broker while so many ask about one token that nobody asked about before. */
async function countUpstream({ clouds, load }: Bench): Promise<number> {
  const http = { host: '127.0.0.1', port: clouds.east.httpPort };
  const count = () => readMetric(http, 'alliance_calls_total', { method: 'validateTokenHard', direction: 'in' });
  const token = clouds.qualify(await clouds.east.member.issue());
  const pool = atFacade(clouds, askers);
  const before = await count();
  const answers = await Promise.all(Array.from({ length: askers }, () => ask(pool, load.caller!, token)));
  await pool.destroy();
  const refused = answers.filter((status) => status !== 200);
  if (refused.length > 0) throw new Error(`${refused.length} of ${askers} askers heard ${refused[0]}.`);
  return (await count()) - before;
}

/** From the answer to a logout in east to the first refusal at west's facade, ms. */
async function timeRevocation({ clouds, load }: Bench): Promise<number> {
  const pool = atFacade(clouds, 1);
  const token = await clouds.east.member.issue();
  const subject = clouds.qualify(token);
  for (let n = 0; n < 2; n++)
    if ((await ask(pool, load.caller!, subject)) !== 200) throw new Error('A token of the benchmark is not valid.');
  await revoke(clouds.east.keystone, token);
  const from = performance.now();
  while ((await ask(pool, load.caller!, subject)) === 200) {
    if (performance.now() - from > 2 * refusalMs) throw new Error('A revoked token is still accepted.');
    await delay(askAgainMs);
  }
  const ms = performance.now() - from;
  await pool.destroy();
  return ms;
}

export async function runTokens(rounds: number, say: Say): Promise<Figure[]> {
  const real = isRealInstalled();
  say(real ? 'starting two Keystones under gunicorn' : 'keystone is not installed: the embedded Keystone stands in');
  const clouds = await createTokenClouds(real);
  const children = new Children();
  try {
    const client = await children.client('validations');
    const token = clouds.qualify(await clouds.east.member.issue());
    const load: Load = {
      port: clouds.facadePort,
      home: '',
      token,
      caller: await clouds.caller(),
      connections,
      inFlight: 1,
      warmupMs,
      durationMs,
    };
    const bench = { clouds, client, load };
    await untilCached(bench);
    const cached = await measureCached(bench, rounds, say);
    const uncached = await measureUncached(bench, rounds, say);
    const upstream: number[] = [];
    const refusals: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      upstream.push(await countUpstream(bench));
      refusals.push(await timeRevocation(bench));
      say(
        `round ${round}/${rounds}: ${upstream.at(-1)} calls upstream, refused after ${refusals.at(-1)!.toFixed(0)} ms`,
      );
    }
    return [
      { name: 'real_openstack', value: real ? 1 : 0 },
      {
        name: 'facade_cached_foreign_vs_keystone',
        value: medianRatio(cached.facade, cached.keystone),
        // The embedded Keystone is a map in memory, and no measure for anybody.
        ...(real && { target: { atLeast: 10 } }),
      },
      {
        name: 'facade_uncached_foreign_vs_keystone',
        value: medianRatio(uncached.facade, uncached.keystone),
        ...(real && { target: { atLeast: 0.8 } }),
      },
      { name: 'single_flight_upstream_calls', value: Math.max(...upstream), target: { atMost: 1 } },
      { name: 'revocation_to_refusal_ms', value: Math.max(...refusals), target: { atMost: refusalMs } },
      { name: 'facade_cached_foreign_per_s', value: median(cached.facade) },
      { name: 'keystone_cached_per_s', value: median(cached.keystone) },
      { name: 'facade_uncached_foreign_per_s', value: median(uncached.facade) },
      { name: 'keystone_uncached_per_s', value: median(uncached.keystone) },
    ];
  } finally {
    await children.stop();
    await clouds.stop();
  }
}
