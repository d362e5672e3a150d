/** What the planner mends of the original, one by one, and what holds for every plan. */
import { expect } from 'chai';
import fc from 'fast-check';
import { applyPlan } from '../../../src/sync/images/apply.ts';
import { compileCondition } from '../../../src/sync/images/condition.ts';
import { type Image, obsoleteSuffix } from '../../../src/sync/images/image.ts';
import { readMaster } from '../../../src/sync/images/master.ts';
import type { RegionPlan } from '../../../src/sync/images/plan.ts';
import { planRegion } from '../../../src/sync/images/planner.ts';
import { isSelected, type Target } from '../../../src/sync/images/target.ts';
import { comparable, imageWith, project, targetWith } from '../../support/images.ts';

interface Case {
  readonly master: readonly Image[];
  readonly region?: readonly Image[];
  readonly target?: Partial<Target>;
  readonly compat?: boolean;
}

function decide({ master, region = [], target = {}, compat = false }: Case) {
  const snapshot = readMaster('M', master, project);
  const plan = (listing: readonly Image[]): RegionPlan =>
    planRegion({ master: snapshot, listing, target: targetWith(target), projectId: project, compat });
  const first = plan(region);
  const after = applyPlan({ master: snapshot, listing: region, actions: first.actions, owner: project });
  const statuses = ({ entries }: RegionPlan) => Object.fromEntries(entries.map(({ name, status }) => [name, status]));
  return { plan: first, pre: statuses(first), after, again: plan(after), post: statuses(plan(after)) };
}

const properties = (entries: Record<string, string>): Pick<Image, 'properties'> => ({
  properties: new Map(Object.entries(entries)),
});
const named = (listing: readonly Image[], name: string): Image => listing.find((image) => image.name === name)!;

describe('sync/images/planner, mended', () => {
  it('sends a kernel before a smaller AMI that needs it, and gives the AMI the id of the new one', () => {
    const kernel = imageWith('kernel', { sizeBytes: 900, checksum: 'new' });
    const ami = imageWith('ami', { sizeBytes: 10, ...properties({ kernel_id: kernel.id }) });
    const old = imageWith('kernel', { id: 'old', checksum: 'before' });
    const both = { master: [ami, kernel], region: [old], target: { replace: new Set(['any']) } };
    const { plan, after, post } = decide(both);
    expect(plan.actions.map(({ kind, name }) => [kind, name])).to.deep.equal([
      ['replace', 'kernel'],
      ['upload', 'ami'],
    ]);
    expect(named(after, 'ami').properties.get('kernel_id')).to.equal('1$kernel');
    expect(post).to.deep.equal({ ami: 'ok', kernel: 'ok' });
    // The original gives it the id of the one that it deletes.
    expect(named(decide({ ...both, compat: true }).after, 'ami').properties.get('kernel_id')).to.equal('old');
  });

  it('leaves an image that is deactivated in the region, and sends none in its place', () => {
    const master = [imageWith('blocked')];
    const region = [imageWith('blocked', { id: 'here', status: 'deactivated' })];
    const question = { master, region, target: { replace: new Set(['any']) } };
    const { pre, plan } = decide(question);
    expect(pre).to.deep.equal({ blocked: 'error_checksum' });
    expect(plan.actions).to.deep.equal([]);
    expect(decide({ ...question, compat: true }).pre).to.deep.equal({ blocked: 'pending_upload' });
  });

  it('what is put aside gets a name that Glance takes', () => {
    const name = 'n'.repeat(253);
    const region = [imageWith(name, { id: 'a', checksum: 'x' }), imageWith(`${'n'.repeat(251)}.old`, { id: 'b' })];
    const target = { rename: new Set(['any']) };
    const { plan } = decide({ master: [imageWith(name, { checksum: 'y' })], region, target });
    const [action] = plan.actions;
    expect(action).to.deep.include({ old: { id: 'a', newName: `${'n'.repeat(249)}.old.2` } });
  });

  it('one image whose kernel the master cannot give ends nothing else', () => {
    const master = [imageWith('ami', properties({ kernel_id: 'nowhere' })), imageWith('good')];
    const { pre, plan } = decide({ master });
    expect(pre).to.deep.equal({ ami: 'error_ami', good: 'pending_upload' });
    expect(plan.actions.map(({ name }) => name)).to.deep.equal(['good']);
    const original = decide({ master, compat: true }).plan;
    expect(original.failure).to.match(/^ami: Its kernel/);
    expect(original.actions).to.deep.equal([]);
  });

  it('images that need each other, or themselves, are error_ami', () => {
    const master = [
      imageWith('a', properties({ kernel_id: 'id-b' })),
      imageWith('b', properties({ ramdisk_id: 'id-a' })),
      imageWith('self', properties({ kernel_id: 'id-self' })),
      imageWith('user', properties({ kernel_id: 'id-a' })),
    ];
    const { pre, again } = decide({ master });
    expect(pre).to.deep.equal({ a: 'error_ami', b: 'error_ami', self: 'error_ami', user: 'pending_upload' });
    expect(again.actions).to.deep.equal([]);
  });

  it('a condition that fails for one image is told, and the others go on', () => {
    const master = [imageWith('bare'), imageWith('typed', properties({ type: 'x' }))];
    const target = { condition: compileCondition("image.user_properties['type'] == 'x'") };
    const { pre, plan } = decide({ master, target });
    expect(pre).to.deep.equal({ typed: 'pending_upload' });
    expect(plan.notices.map(({ kind, name }) => [kind, name])).to.deep.equal([['condition_failed', 'bare']]);
    expect(decide({ master, target, compat: true }).plan.failure).to.match(/^bare: Column 1/);
  });

  it('unknown checksums are unknown: never the same, never replaced', () => {
    const master = [imageWith('a', { checksum: null })];
    const region = [imageWith('a', { id: 'r', checksum: null })];
    const target = { replace: new Set(['any']) };
    const { pre, plan } = decide({ master, region, target });
    expect([pre, plan.actions]).to.deep.equal([{ a: 'error_checksum' }, []]);
    expect(decide({ master, region, target, compat: true }).pre).to.deep.equal({ a: 'ok' });
    const larger = [imageWith('a', { id: 'r', checksum: null, sizeBytes: 7 })];
    expect(decide({ master, region: larger, target }).pre).to.deep.equal({ a: 'pending_replace' });
  });

  it('of several that are called so, one whose content may be the same comes before one whose cannot', () => {
    const master = [imageWith('a', { checksum: null })];
    const region = ['0a', '0b'].map((id) => imageWith('a', { id, checksum: null, sizeBytes: 7 }));
    const { pre, again } = decide({ master, region, target: { replace: new Set(['any']) } });
    expect(pre).to.deep.equal({ a: 'pending_replace' });
    expect(again.actions).to.deep.equal([]);
  });

  it('a hash of one algorithm counts before MD5', () => {
    const hash = (value: string, algorithm = 'sha512') => ({ hash: { algorithm, value } });
    const master = [imageWith('a', { checksum: 'x', ...hash('1') })];
    const pre = (more: Partial<Image>) => decide({ master, region: [imageWith('a', { id: 'r', ...more })] }).pre.a;
    expect(pre({ checksum: 'y', ...hash('1') })).to.equal('ok');
    expect(pre({ checksum: 'x', ...hash('2') })).to.equal('error_checksum');
    expect(pre({ checksum: 'x', ...hash('2', 'sha256') })).to.equal('ok');
  });

  it('puts aside under a name that nobody has', () => {
    const master = [imageWith('a')];
    const region = [
      imageWith('a', { id: 'r', checksum: 'c2' }),
      imageWith('a.old', { id: 'o1' }),
      imageWith('a.old.2', { id: 'o2' }),
    ];
    const target = { rename: new Set(['any']) };
    const names = (compat: boolean) =>
      decide({ master, region, target, compat })
        .after.map(({ name }) => name)
        .sort();
    expect(names(false)).to.deep.equal(['a', 'a.old', 'a.old.2', 'a.old.3']);
    expect(names(true)).to.deep.equal(['a', 'a.old', 'a.old', 'a.old.2']);
  });

  it('what is there under another name with equal sha512 is not sent, nor touched', () => {
    const hash = { hash: { algorithm: 'sha512', value: 'f00' } };
    const master = [imageWith('a', hash), imageWith('ami', properties({ kernel_id: 'id-a' }))];
    const there = imageWith('other', { id: 'r', ...hash });
    const { pre, plan, after } = decide({ master, region: [there] });
    expect(pre).to.deep.equal({ a: 'ok', ami: 'pending_upload' });
    expect(plan.actions.map(({ name }) => name)).to.deep.equal(['ami']);
    expect(named(after, 'ami').properties.get('kernel_id')).to.equal('r');
    for (const more of [{ isPublic: false }, { owner: 'somebody' }, { status: 'queued' }, { name: 'x.old' }])
      expect(decide({ master, region: [{ ...there, ...more }] }).pre.a, JSON.stringify(more)).to.equal(
        'pending_upload',
      );
  });

  it('what becomes obsolete is no other image under another name', () => {
    const hash = { hash: { algorithm: 'sha512', value: 'f00' } };
    const master = [imageWith('x_obsolete', hash), imageWith('y', hash)];
    const { pre, post, again } = decide({ master, region: [imageWith('x', { id: 'r', ...hash })] });
    expect([pre, post]).to.deep.equal([{ y: 'pending_upload' }, { y: 'ok' }]);
    expect(again.actions).to.deep.equal([]);
  });

  it('with an empty metadata_set the image gets the properties of the master, and loses others', () => {
    const master = [imageWith('a', properties({ x: '1', y: '2' }))];
    const region = [imageWith('a', { id: 'r', ...properties({ x: '0', z: '3' }) })];
    const { pre, after, post } = decide({ master, region });
    expect([pre, post]).to.deep.equal([{ a: 'pending_metadata' }, { a: 'ok' }]);
    expect([...after[0]!.properties]).to.deep.equal([
      ['x', '1'],
      ['y', '2'],
    ]);
    expect(decide({ master, region, compat: true }).post).to.deep.equal({ a: 'pending_metadata' });
  });
});

const names = ['a', 'b', 'c', 'd', 'a_obsolete', 'b_obsolete', 'a.old'];
const anyProperties = fc
  .dictionary(fc.constantFrom('nid', 'type', 'local'), fc.constantFrom('1', '2'))
  .map((found) => new Map(Object.entries(found)));
const anyImage = fc.record({
  name: fc.constantFrom(...names),
  owner: fc.constantFrom(project, project, project, '', 'other'),
  status: fc.constantFrom('active', 'active', 'active', 'queued'),
  isPublic: fc.boolean(),
  sizeBytes: fc.integer({ min: 1, max: 5 }),
  checksum: fc.constantFrom('c1', 'c2', 'c3', null),
  properties: anyProperties,
  sha: fc.constantFrom(undefined, undefined, 'h1', 'h2'),
  links: fc.record({ kernel_id: fc.option(fc.nat(9)), ramdisk_id: fc.option(fc.nat(9)) }),
});
/** Links lead to some image of the same listing, or nowhere. */
const listing = (prefix: string) =>
  fc.array(anyImage, { maxLength: 8 }).map((images): Image[] =>
    images.map(({ sha, links, ...image }, i) => ({
      ...image,
      id: `${prefix}${i}`,
      ...(sha !== undefined && { hash: { algorithm: 'sha512', value: sha } }),
      properties: new Map([
        ...image.properties,
        ...Object.entries(links).flatMap(([key, to]) => (to === null ? [] : [[key, `${prefix}${to}`] as const])),
      ]),
    })),
  );
const some = (...values: string[]) => fc.subarray(values).map((found) => new Set(found));
const conditions = ['image.is_public', "image.user_properties['nid'] == '1'", 'not image.is_public or image.size > 3'];
const anyTarget: fc.Arbitrary<Target> = fc.record({
  condition: fc.constantFrom(null, null, ...conditions.map(compileCondition)),
  metadataSet: some('nid', 'type'),
  forceSyncs: some('m0', 'm1'),
  replace: some('any', 'c1', 'c2'),
  rename: some('any', 'c2', 'c3'),
  dontUpdate: some('c1', 'c3'),
  obsoleteProperties: some('local', 'nid'),
  supportsObsolete: fc.boolean(),
  onlyOwnImages: fc.boolean(),
});
/** Ids before and after those that new images get. */
const region = fc.constantFrom('0', 'r').chain(listing);
const world = fc.record({ master: listing('m'), region, target: anyTarget });

describe('sync/images/planner, whatever it is given', () => {
  it('applying a plan and planning again yields nothing', () => {
    fc.assert(
      fc.property(world, (each) => decide(each).again.actions.length === 0),
      { numRuns: 2000 },
    );
  });

  it('no action is outside the selection', () => {
    fc.assert(
      fc.property(world, (each) => {
        const { images, region } = readMaster('M', each.master, project);
        for (const action of decide(each).plan.actions) {
          const master = images.get(action.name)!;
          const touched = 'old' in action ? action.old?.id : action.id;
          const image = each.region.find(({ id }) => id === touched);
          if (action.kind === 'obsolete') {
            expect(master.name.endsWith(obsoleteSuffix)).to.equal(true);
            expect(image!.owner).to.be.oneOf([project, '']);
            continue;
          }
          expect(isSelected(master, each.target, region)).to.equal('yes');
          if (touched !== undefined) expect(image!.name).to.equal(action.name);
          if (image && each.target.onlyOwnImages) expect(image.owner).to.be.oneOf([project, '']);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('the order of listings does not matter', () => {
    const reversed = (images: readonly Image[]): Image[] => [...images].reverse();
    fc.assert(
      fc.property(world, (each) => {
        const [one, other] = [
          decide(each),
          decide({ ...each, master: reversed(each.master), region: reversed(each.region) }),
        ];
        expect(other.plan.entries).to.deep.equal(one.plan.entries);
        expect(other.plan.actions).to.deep.equal(one.plan.actions);
        expect(comparable(other.after)).to.deep.equal(comparable(one.after));
      }),
      { numRuns: 1000 },
    );
  });
});
