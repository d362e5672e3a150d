import { expect } from 'chai';
import type { Visibility } from '../../../src/lproxy/imageStore.ts';
import { changeAlarm, foreignAlarm, listingAlarm } from '../../../src/sync/images/guard.ts';
import type { Action } from '../../../src/sync/images/plan.ts';

const actionsWith = (replaced: number, uploaded = 0, updated = 0): Action[] => {
  const common = { isPublic: true, properties: new Map(), reason: '' };
  const sent = { ...common, source: 's', sizeBytes: 1 };
  return [
    ...Array.from({ length: replaced }, (_, i): Action => {
      const kind = i % 2 === 0 ? 'replace' : 'rename';
      return { ...sent, kind, name: `r${i}`, old: { id: `${i}`, newName: i % 2 === 0 ? null : 'aside' } };
    }),
    ...Array.from({ length: uploaded }, (_, i): Action => ({ ...sent, kind: 'upload', name: `u${i}`, old: null })),
    ...Array.from(
      { length: updated },
      (_, i): Action => ({ ...common, kind: 'update', name: `m${i}`, id: `${i}`, newName: `m${i}` }),
    ),
  ];
};

describe('guards', () => {
  for (const [before, now, alarming] of [
    [null, 0, false],
    [0, 0, false],
    [1, 0, true],
    [100, 0, true],
    [100, 49, true],
    [100, 50, false],
    [100, 200, false],
  ] as const)
    it(`a listing of ${now} after one of ${before} is ${alarming ? 'suspicious' : 'not'}`, () => {
      expect(listingAlarm('Region west', before, now) !== undefined).to.equal(alarming);
    });

  for (const [replaced, present, alarming] of [
    [3, 3, false],
    [4, 4, true],
    [4, 7, true],
    [4, 8, false],
    [50, 100, false],
    [51, 100, true],
  ] as const)
    it(`a plan that replaces ${replaced} of ${present} is ${alarming ? 'suspicious' : 'not'}`, () => {
      const alarm = changeAlarm('west', actionsWith(replaced, 20, 20), { present, listed: new Map() });
      expect(alarm).to.equal(
        alarming ? `In west ${replaced} of ${present} images would be replaced or put aside.` : undefined,
      );
    });

  it('a plan that takes properties from most of what is there, or from the public, is', () => {
    const actions = actionsWith(1, 0, 5);
    const imageOf = (visibility: Visibility, ...keys: string[]) => ({
      visibility,
      properties: new Map(keys.map((key) => [key, 'x'] as const)),
    });
    const alarm = (image: ReturnType<typeof imageOf>, isPublic = true) =>
      changeAlarm(
        'west',
        actions.map((action) => ({ ...action, isPublic })),
        { present: 8, listed: new Map(actions.map((_, i) => [`${i}`, image])) },
      );
    const told = 'In west 1 of 8 images would be replaced or put aside, 5 would lose properties or be public no more.';
    expect(alarm(imageOf('public', 'os_type'))).to.equal(told);
    expect(alarm(imageOf('public'), false)).to.equal(told);
    expect(alarm(imageOf('private'), false)).to.equal(undefined);
    expect(alarm(imageOf('public', 'alliance_hash', 'block_device_mapping'))).to.equal(undefined);
  });

  it('a plan that touches images of other projects is', () => {
    const actions = actionsWith(2, 2, 2);
    expect(foreignAlarm('west', actions, new Set(['elsewhere']))).to.equal(undefined);
    expect(foreignAlarm('west', actions.slice(0, 2), new Set(['1']))).to.match(/^In west 1 images of other projects/);
    expect(foreignAlarm('west', actions.slice(4), new Set(['0', '1']))).to.match(/^In west 2 images/);
  });
});
