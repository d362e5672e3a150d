/** Recorded runs of GlanceSync 1.7, and images for tests. */
import { readFileSync } from 'node:fs';
import { compileCondition } from '../../src/sync/images/condition.ts';
import type { Image, PropertyValue } from '../../src/sync/images/image.ts';
import type { Target } from '../../src/sync/images/target.ts';
import { projectPath } from './project.ts';

type Row = [string, string, string, string, number, number, string | null, Record<string, PropertyValue>];

interface Recorded {
  readonly n: number;
  readonly config: Record<string, unknown>;
  readonly master: Row[];
  readonly region: Row[];
  readonly after: Row[];
  /** Status and name. */
  readonly pre: [string, string][];
  readonly post: [string, string][];
  readonly warnings: number;
}

export interface OracleCase extends Pick<Recorded, 'n' | 'pre' | 'post' | 'warnings'> {
  readonly target: Target;
  readonly master: Image[];
  readonly region: Image[];
  readonly after: Image[];
}

export const project = 'tid';

const imageOf = ([id, name, owner, status, isPublic, sizeBytes, checksum, properties]: Row): Image => ({
  id,
  name,
  owner,
  status,
  isPublic: isPublic === 1,
  sizeBytes,
  checksum,
  properties: new Map(Object.entries(properties)),
});

export const targetWith = (options: Partial<Target> = {}): Target => ({
  condition: null,
  metadataSet: new Set(),
  forceSyncs: new Set(),
  replace: new Set(),
  rename: new Set(),
  dontUpdate: new Set(),
  obsoleteProperties: new Set(),
  supportsObsolete: true,
  onlyOwnImages: true,
  ...options,
});

function targetOf(config: Record<string, unknown>): Target {
  const set = (key: string): Set<string> => new Set(config[key] as string[]);
  const condition = String(config.metadata_condition);
  return {
    condition: condition === '' ? null : compileCondition(condition),
    metadataSet: set('metadata_set'),
    forceSyncs: set('forcesyncs'),
    replace: set('replace'),
    rename: set('rename'),
    dontUpdate: set('dontupdate'),
    obsoleteProperties: set('obsolete_syncprops'),
    supportsObsolete: config.support_obsolete_images === true,
    onlyOwnImages: config.only_tenant_images === true,
  };
}

export function readOracle(): OracleCase[] {
  const cases = JSON.parse(readFileSync(projectPath('test/sync/images/oracle.json'), 'utf8')) as Recorded[];
  return cases.map(({ config, master, region, after, ...rest }) => ({
    ...rest,
    target: targetOf(config),
    master: master.map(imageOf),
    region: region.map(imageOf),
    after: after.map(imageOf),
  }));
}

/** For comparisons: Maps as lists, in one order. */
export const comparable = (images: readonly Image[]) =>
  images
    .map(({ id, name, owner, status, isPublic, sizeBytes, checksum, properties }) => {
      const plain = { id, name, owner, status, isPublic, sizeBytes, checksum };
      return { ...plain, properties: [...properties].sort() };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));

export const imageWith = (name: string, more: Partial<Image> = {}): Image => ({
  id: `id-${name}`,
  name,
  owner: project,
  status: 'active',
  isPublic: true,
  sizeBytes: 100,
  checksum: 'c1',
  properties: new Map(),
  ...more,
});
