/** How long a plan of many images takes, and whether it grows as they do. */
import { createHash } from 'node:crypto';
import { compileCondition } from '../src/sync/images/condition.ts';
import type { Image, PropertyValue } from '../src/sync/images/image.ts';
import { readMaster } from '../src/sync/images/master.ts';
import { type PlanQuestion, planRegion } from '../src/sync/images/planner.ts';
import { targetWith } from '../test/support/images.ts';
import type { Figure } from './report.ts';
import { median, medianRatio } from './statistics.ts';

const project = 'f'.repeat(32);
const foreign = 'e'.repeat(32);

/** A listing of the master, and one of a region to which most of it came earlier. */
interface World {
  readonly master: readonly Image[];
  readonly region: readonly Image[];
}

const hashed = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest('hex');
const idOf = (text: string): string => hashed('md5', text).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');

/** As they come from a store: all of one form. */
const imageOf = (
  where: string,
  name: string,
  {
    content = name,
    owner = project,
    isPublic = true,
    properties,
  }: Partial<Image> & Pick<Image, 'properties'> & { readonly content?: string },
): Image => ({
  id: idOf(`${where} ${name}`),
  name,
  owner,
  status: 'active',
  isPublic,
  sizeBytes: 100_000_000 + (Number.parseInt(hashed('md5', content).slice(0, 8), 16) % 1_000_000_000),
  checksum: hashed('md5', content),
  hash: { algorithm: 'sha512', value: hashed('sha512', content) },
  properties,
});

const propertiesOf = (n: number, more: readonly (readonly [string, PropertyValue])[] = []) =>
  new Map<string, PropertyValue>([
    ['type', n % 10 === 9 ? 'test' : 'baseimage'],
    ['nid', String(n)],
    ['os_distro', 'debian'],
    ['os_version', String(n % 13)],
    ['architecture', 'x86_64'],
    ['hw_disk_bus', 'virtio'],
    ...more,
  ]);

/**
 * Of twenty images one is missing, one has other metadata, one other content, one needs a kernel and a ramdisk that are there, one needs
 * those that come with it, one is obsolete, one has a namesake of a foreign project; the others are the same.
 */
function createWorld(count: number): World {
  const master: Image[] = [];
  const region: Image[] = [];
  for (let n = 0; n < count; n++) {
    const kind = n % 20;
    const name = `image ${hashed('md5', String(n)).slice(0, 8)} ${n}`;
    const linked = (where: string): [string, string][] => {
      const [kernel, ramdisk] = kind === 3 ? [n - 3, n - 2] : [n - 4, n - 3];
      const nameOf = (other: number): string => `image ${hashed('md5', String(other)).slice(0, 8)} ${other}`;
      return [
        ['kernel_id', idOf(`${where} ${nameOf(kernel)}`)],
        ['ramdisk_id', idOf(`${where} ${nameOf(ramdisk)}`)],
      ];
    };
    const links = (where: string) => (kind === 3 || kind === 11 ? linked(where) : []);
    master.push(
      imageOf('master', kind === 15 ? `${name}_obsolete` : name, {
        content: name,
        isPublic: kind !== 19,
        properties: propertiesOf(n, links('master')),
      }),
    );
    // The kernel of kind 11.
    if (kind === 7) continue;
    const other = kind === 9 ? [['os_version', 'other'] as const] : [];
    region.push(
      imageOf('region', name, {
        content: kind === 13 ? `other ${name}` : name,
        properties: propertiesOf(n, [...other, ...links('region')]),
      }),
    );
    if (kind === 17) region.push(imageOf('foreign', name, { owner: foreign, properties: propertiesOf(n) }));
  }
  return { master, region };
}

const condition = compileCondition(
  "image.is_public and 'type' in image.user_properties and image.user_properties['type'] == 'baseimage'",
);

const questionOf = ({ master, region }: World): PlanQuestion => ({
  master: readMaster('master', master, project),
  listing: region,
  target: targetWith({ condition, replace: new Set(['any']) }),
  projectId: project,
  compat: false,
});

/** Milliseconds of one plan, listings as they come from a store to actions. */
function timePlans(worlds: readonly World[]): number {
  const begin = performance.now();
  for (const world of worlds) {
    const { actions, failure } = planRegion(questionOf(world));
    if (failure !== null || actions.length < world.master.length / 20)
      throw new Error('The plan of the benchmark is none.');
  }
  return (performance.now() - begin) / worlds.length;
}

const [many, few] = [10_000, 1_000];

export function measurePlans(rounds: number, say: (line: string) => void): Figure[] {
  // Ten small ones: the same one again and again would be in the processor's cache, where a listing that was just read is not.
  const worlds = { many: [createWorld(many)], few: Array.from({ length: many / few }, () => createWorld(few)) };
  const [manyMs, fewMs]: [number[], number[]] = [[], []];
  // The first round meets code that is not compiled yet, and does not count.
  for (let round = 0; round <= rounds; round++) {
    const [ofMany, ofFew] = [timePlans(worlds.many), timePlans(worlds.few)];
    if (round > 0) manyMs.push(ofMany);
    if (round > 0) fewMs.push(ofFew);
    say(`plans ${round}/${rounds}: ${ofMany.toFixed(1)} ms of ${many} images, ${ofFew.toFixed(2)} ms of ${few}`);
  }
  return [
    { name: 'plan_10k_images_ms', value: median(manyMs) },
    { name: 'plan_scaling_10k_vs_1k', value: medianRatio(manyMs, fewMs), target: { atMost: 12 } },
  ];
}
