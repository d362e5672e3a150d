/** Syncs between two clouds, beside what `curl` does between their Glances; the memory of both brokers; and syncs with nothing to do. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { GlanceImage } from '../src/sandbox/glance.ts';
import type { RunningGlance } from '../test/support/glanceContract.ts';
import { createImageApi, type ImageApi } from '../test/support/imageApi.ts';
import { createKeystoneApi } from '../test/support/keystoneApi.ts';
import { Children, type Client } from './children.ts';
import { createImageClouds, type ImageClouds, isRealInstalled } from './imageClouds.ts';
import { adminOf } from './keystones.ts';
import type { Figure } from './report.ts';
import { median, medianRatio } from './statistics.ts';

type Say = (line: string) => void;

const mib = 1024 * 1024;
const [comparedBytes, largeBytes] = [256 * mib, 2048 * mib];
/** They take seconds each, and hardly differ. */
const mostRounds = 5;

interface Bench {
  readonly clouds: ImageClouds;
  readonly apis: { readonly east: ImageApi; readonly west: ImageApi };
  readonly client: Client;
}

const loadOn = ({ west }: ImageClouds) => ({
  ...{ home: west.home, port: 0, token: '', connections: 1, inFlight: 1, warmupMs: 0, durationMs: 0 },
});

/** One request, by fetch. */
async function ask(url: string, token: string, init: RequestInit & { readonly duplex?: 'half' }): Promise<Response> {
  const answer = await fetch(url, { ...init, headers: { 'x-auth-token': token, ...init.headers } });
  if (!answer.ok) throw new Error(`${init.method} ${url}: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
  return answer;
}

async function removeAll(url: string, { token, list }: ImageApi): Promise<void> {
  for (const { id } of await list()) await ask(`${url}/v2/images/${id}`, token, { method: 'DELETE' });
}

/** Id of a new image without content. */
async function makeEmpty(url: string, { token }: ImageApi, name: string): Promise<string> {
  const body = JSON.stringify({ name, visibility: 'public', disk_format: 'raw', container_format: 'bare' });
  const headers = { 'content-type': 'application/json' };
  const made = await ask(`${url}/v2/images`, token, { method: 'POST', headers, body });
  return ((await made.json()) as { id: string }).id;
}

async function makeLarge(url: string, api: ImageApi, sizeBytes: number): Promise<string> {
  const id = await makeEmpty(url, api, `of ${sizeBytes} bytes`);
  const piece = randomBytes(mib);
  async function* content(): AsyncGenerator<Buffer> {
    for (let n = 0; n < sizeBytes; n += mib) yield piece;
  }
  const headers = { 'content-type': 'application/octet-stream' };
  await ask(`${url}/v2/images/${id}/file`, api.token, { method: 'PUT', headers, body: content(), duplex: 'half' });
  return id;
}

/** `curl | curl`, straight from Glance to Glance; pipes a second. */
async function pipeByCurl({ clouds: { east, west }, apis }: Bench, source: string): Promise<number> {
  const target = await makeEmpty(west.url, apis.west, 'by curl');
  const env = {
    PATH: process.env.PATH ?? '',
    FROM: `${east.url}/v2/images/${source}/file`,
    TO: `${west.url}/v2/images/${target}/file`,
    EAST: `X-Auth-Token: ${apis.east.token}`,
    WEST: `X-Auth-Token: ${apis.west.token}`,
  };
  const command =
    'curl -sSf -H "$EAST" "$FROM" | curl -sSf -X PUT -H "$WEST" -H "Content-Type: application/octet-stream" -T - "$TO"';
  const begin = performance.now();
  const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  const perS = 1000 / (performance.now() - begin);
  if (code !== 0) throw new Error(`curl ended with ${code}.`);
  return perS;
}

/** The most that a process has had in memory so far, MiB; 0 where the system does not say. */
function peakRssMib(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function compare(bench: Bench, rounds: number, say: Say): Promise<Figure[]> {
  const { clouds, apis, client } = bench;
  const source = await makeLarge(clouds.east.url, apis.east, comparedBytes);
  const [syncs, pipes]: [number[], number[]] = [[], []];
  const sides = [
    { rates: syncs, name: 'sync', run: () => client.measure(loadOn(clouds)) },
    { rates: pipes, name: 'curl | curl', run: () => pipeByCurl(bench, source) },
  ];
  // The first round meets cold code and does not count.
  for (let round = 0; round <= rounds; round++)
    for (const { rates, name, run } of round % 2 === 0 ? sides : sides.toReversed()) {
      const perS = await run();
      await removeAll(clouds.west.url, apis.west);
      if (round > 0) rates.push(perS);
      say(`images ${round}/${rounds}: ${name} ${((perS * comparedBytes) / mib).toFixed(0)} MiB/s`);
    }
  await removeAll(clouds.east.url, apis.east);
  const perImage = comparedBytes / mib;
  return [
    { name: 'image_sync_vs_curl_pipe', value: medianRatio(syncs, pipes), target: { atLeast: 0.85 } },
    { name: 'image_sync_mib_per_s', value: median(syncs) * perImage },
    { name: 'curl_pipe_mib_per_s', value: median(pipes) * perImage },
  ];
}

async function measureMemory({ clouds, apis, client }: Bench, say: Say): Promise<Figure> {
  await makeLarge(clouds.east.url, apis.east, largeBytes);
  const perS = await client.measure(loadOn(clouds));
  const [east, west] = [peakRssMib(clouds.serving.pid), peakRssMib(client.pid)];
  say(`an image of 2 GiB: ${((perS * largeBytes) / mib).toFixed(0)} MiB/s, east ${east} MiB, west ${west} MiB`);
  return { name: 'image_sync_peak_rss_mib', value: Math.max(east, west), target: { atMost: 200 } };
}

const listed = 10_000;

/** The same images on both sides, put straight into embedded Glances: making so many by their API would take minutes. */
function fill(images: Map<string, GlanceImage>, side: string, owner: string): void {
  for (let n = 0; n < listed; n++) {
    const id = `${side}-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const at = Date.UTC(2026, 0, 1) + n * 1000;
    const hash = n.toString(16).padStart(32, '0');
    images.set(id, {
      ...{
        id,
        name: `image ${n}`,
        owner,
        visibility: 'public',
        status: 'active',
        diskFormat: 'raw',
        containerFormat: 'bare',
      },
      ...{ minDisk: 0, minRam: 0, protected: false, hidden: false, tags: [], members: new Map(), size: 1000 + n },
      ...{ checksum: hash, hashAlgorithm: 'sha512', hashValue: hash.repeat(4), createdAt: at, updatedAt: at },
      properties: new Map([
        ['os_distro', 'debian'],
        ['os_version', String(n % 13)],
        ['hw_disk_bus', 'virtio'],
      ]),
    });
  }
}

/** Id of the project that the broker of a cloud works in. */
async function adminProjectOf({ keystone }: RunningGlance): Promise<string> {
  const token = await adminOf(keystone);
  const found = await createKeystoneApi(keystone.url).must('GET', '/projects?name=admin', { token });
  return String(found.at('projects.0.id'));
}

async function measureNothingToDo(rounds: number, say: Say): Promise<Figure[]> {
  const clouds = await createImageClouds(false);
  const children = new Children();
  try {
    for (const cloud of [clouds.east, clouds.west])
      fill(cloud.images!, cloud === clouds.east ? '0000000e' : '0000000f', await adminProjectOf(cloud));
    const [sync, listing] = [await children.client('imageSync'), await children.client('imageListing')];
    const [syncs, listings]: [number[], number[]] = [[], []];
    for (let round = 0; round <= rounds; round++) {
      const [a, b] = [await sync.measure(loadOn(clouds)), await listing.measure(loadOn(clouds))];
      if (round > 0) syncs.push(a);
      if (round > 0) listings.push(b);
      say(`10,000 images ${round}/${rounds}: sync ${(1000 / a).toFixed(0)} ms, listing ${(1000 / b).toFixed(0)} ms`);
    }
    return [
      {
        name: 'resync_nothing_to_do_10k_images_vs_listing',
        value: medianRatio(listings, syncs),
        target: { atMost: 1.5 },
      },
      { name: 'resync_nothing_to_do_10k_images_ms', value: 1000 / median(syncs) },
    ];
  } finally {
    await children.stop();
    await clouds.stop();
  }
}

export async function measureSyncs(rounds: number, say: Say): Promise<Figure[]> {
  const few = Math.min(rounds, mostRounds);
  const nothing = await measureNothingToDo(few, say);
  const real = isRealInstalled();
  say(real ? 'starting two Keystones and two Glances' : 'glance is not installed: embedded ones stand in');
  const clouds = await createImageClouds(real);
  const children = new Children();
  try {
    const [east, west] = [
      await createImageApi(clouds.east.url, clouds.east.keystone),
      await createImageApi(clouds.west.url, clouds.west.keystone),
    ];
    const bench = { clouds, apis: { east, west }, client: await children.client('imageSync') };
    const compared = await compare(bench, few, say);
    const memory = await measureMemory(bench, say);
    return [{ name: 'real_openstack', value: real ? 1 : 0 }, ...compared, memory, ...nothing];
  } finally {
    await children.stop();
    await clouds.stop();
  }
}
