import { expect } from 'chai';
import { openAmong } from '../../src/cli/openExecutions.ts';
import { imagePolicyLimits } from '../../src/core/limits.ts';
import type { Execution, ExecutionRegion, ExecutionState, Failure } from '../../src/model/execution.ts';

const now = Date.UTC(2027, 0, 1);
const guard: Failure = { name: 'sync_stopped', reason: 'It has shrunk.' };
const broken: Failure = { name: 'glance_unreachable', reason: 'Glance is away.' };

describe('cli/openExecutions', () => {
  const seen = (
    id: string,
    state: ExecutionState,
    regions: Readonly<Record<string, ExecutionState>>,
    { trigger = 'manual', source = 'M', failure = null, endedAt = now - 1000 }: Partial<Execution> = {},
    regionFailure: Failure | null = null,
  ) => ({
    execution: { id, state, trigger, source, failure, endedAt, regions: Object.keys(regions) } as unknown as Execution,
    regions: Object.entries(regions).map(
      ([region, each]): ExecutionRegion => ({
        ...{ region, state: each, endedAt: now },
        failure: each === 'done' ? null : regionFailure,
      }),
    ),
  });
  const open = (...all: ReturnType<typeof seen>[]) => openAmong(all, now).map(({ execution: { id } }) => id);

  it('are those that failed, in part or as a whole, lately', () => {
    expect(open(seen('a', 'failed', { A: 'failed' }), seen('b', 'partly', { B: 'partly' }), seen('c', 'done', { C: 'done' }))).to.deep.equal(['a', 'b']); // biome-ignore format: one line
    expect(open(seen('a', 'running', { A: 'running' }))).to.deep.equal([]);
    expect(open(seen('a', 'failed', { A: 'failed' }, { endedAt: now - imagePolicyLimits.shownMs - 1 }))).to.deep.equal(
      [],
    );
    const [one] = openAmong([seen('a', 'partly', { A: 'done', B: 'failed' }, {}, broken)], now);
    expect([one?.reason, one?.isGuarded]).to.deep.equal([broken.reason, false]);
  });

  it('until their regions are done from the same source, or the policy has run well', () => {
    const bad = seen('a', 'partly', { A: 'failed', B: 'done' });
    expect(open(seen('b', 'done', { B: 'done' }), bad)).to.deep.equal(['a']);
    expect(open(seen('b', 'done', { A: 'done' }, { source: 'N' }), bad)).to.deep.equal(['a']);
    expect(open(bad, seen('b', 'done', { A: 'done' }))).to.deep.equal(['a']);
    expect(open(seen('b', 'done', { A: 'done' }), bad)).to.deep.equal([]);
    expect(open(seen('b', 'partly', { A: 'done', C: 'failed' }), bad)).to.deep.equal(['b']);
    const policy = { trigger: 'policy:p' };
    const unopened = seen('a', 'failed', { 'other:': 'failed' }, { ...policy, source: '', failure: broken });
    expect(open(unopened)).to.deep.equal(['a']);
    expect(open(seen('b', 'done', { A: 'done' }, policy), unopened)).to.deep.equal([]);
    expect(open(seen('b', 'failed', { A: 'failed' }, policy), unopened)).to.deep.equal(['b', 'a']);
    expect(open(seen('b', 'done', {}, { trigger: 'policy:q' }), seen('a', 'failed', {}))).to.deep.equal(['a']);
  });

  it('stopped ones where a guard did it, and nobody else', () => {
    const byHand: Failure = { name: 'shutting_down', reason: 'Somebody asked it to stop.' };
    expect(open(seen('a', 'stopped', { A: 'stopped' }, { failure: byHand }))).to.deep.equal([]);
    const [whole] = openAmong([seen('a', 'stopped', { A: 'stopped' }, { failure: guard })], now);
    expect([whole?.isGuarded, whole?.reason]).to.deep.equal([true, guard.reason]);
    expect(openAmong([seen('a', 'partly', { A: 'stopped', B: 'done' }, {}, guard)], now)[0]?.isGuarded).to.equal(true);
  });
});
