import { expect } from 'chai';
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
      const alarm = changeAlarm('west', actionsWith(replaced, 20, 20), present);
      expect(alarm).to.equal(
        alarming ? `In west ${replaced} of ${present} images would be replaced or put aside.` : undefined,
      );
    });

  it('a plan that touches images of other projects is', () => {
    const actions = actionsWith(2, 2, 2);
    expect(foreignAlarm('west', actions, new Set(['elsewhere']))).to.equal(undefined);
    expect(foreignAlarm('west', actions.slice(0, 2), new Set(['1']))).to.match(/^In west 1 images of other projects/);
    expect(foreignAlarm('west', actions.slice(4), new Set(['0', '1']))).to.match(/^In west 2 images/);
  });
});
