import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Action } from '../../../src/sync/images/plan.ts';
import { type PlannedTask, planTasks, runTasks, wantedActions } from '../../../src/sync/images/tasks.ts';

const upload = (name: string, needs: readonly string[] = []): Action => ({
  ...{ kind: 'upload', name, source: `id-${name}`, sizeBytes: 1, isPublic: true, old: null, reason: '' },
  properties: new Map(needs.map((need, i) => [i === 0 ? 'kernel_id' : 'ramdisk_id', { idOf: need }])),
});
const update = (name: string, needs: readonly string[] = []): Action => {
  const { properties } = upload(name, needs);
  return { kind: 'update', name, id: `id-${name}`, newName: name, isPublic: true, properties, reason: '' };
};

interface Ran {
  readonly lines: string[];
  readonly most: number;
}

async function run(actions: readonly Action[], atOnce: number, fails: readonly string[] = []): Promise<Ran> {
  const lines: string[] = [];
  let running = 0;
  let most = 0;
  await runTasks(planTasks('west', actions), atOnce, {
    run: async ({ task: { name } }: PlannedTask) => {
      running += 1;
      most = Math.max(most, running);
      lines.push(`+${name}`);
      await turn();
      lines.push(`-${name}`);
      running -= 1;
      return !fails.includes(name);
    },
    skip: async ({ task: { name } }, need) => {
      lines.push(`skip ${name} for ${need}`);
    },
  });
  return { lines, most };
}

describe('tasks', () => {
  it('run in their order, so many at a time', async () => {
    const actions = [update('a'), upload('b'), upload('c'), upload('d')];
    expect((await run(actions, 1)).lines.join(' ')).to.equal('+a -a +b -b +c -c +d -d');
    const two = await run(actions, 2);
    expect(two.most).to.equal(2);
    expect(two.lines.filter((line) => line.startsWith('+'))).to.deep.equal(['+a', '+b', '+c', '+d']);
  });

  it('wait for what they need, also where more could run', async () => {
    const { lines } = await run([upload('aki'), upload('ami', ['aki']), upload('other'), update('there', ['ami'])], 4);
    const at = (line: string) => lines.indexOf(line);
    expect(at('+ami')).to.be.greaterThan(at('-aki'));
    expect(at('+there')).to.be.greaterThan(at('-ami'));
    expect(at('+other')).to.be.lessThan(at('-aki'));
  });

  it('are skipped with all that needs them when what they need failed', async () => {
    const actions = [upload('aki'), upload('ami', ['aki']), update('there', ['ami']), upload('other')];
    expect((await run(actions, 2, ['aki'])).lines).to.have.members([
      ...['+aki', '-aki', '+other', '-other'],
      ...['skip ami for aki', 'skip there for ami'],
    ]);
  });

  it('what cannot be written down ends it, when all that ran has ended', async () => {
    const ended: string[] = [];
    const running = runTasks(planTasks('west', [upload('a'), upload('b'), upload('c')]), 2, {
      run: async ({ task: { name } }) => {
        await turn();
        if (name === 'a') throw new Error('no database');
        await turn();
        ended.push(name);
        return true;
      },
      skip: async () => undefined,
    });
    expect(await running.catch((error: Error) => error.message)).to.equal('no database');
    expect(ended).to.deep.equal(['b']);
  });

  it('each runs or is skipped, once, whatever fails', async () => {
    const names = [...'abcdefgh'];
    const graph = fc.array(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 2 }), { minLength: 8, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(graph, fc.subarray(names), fc.integer({ min: 1, max: 4 }), async (needs, fails, atOnce) => {
        const actions = names.map((name, i) =>
          upload(
            name,
            needs[i]!.filter((n) => n < i).map((n) => names[n]!),
          ),
        );
        const { lines, most } = await run(actions, atOnce, fails);
        const settled = lines
          .filter((line) => !line.startsWith('+'))
          .map((line) => line.replace(/^-|^skip | for .*/g, ''));
        expect(settled.sort()).to.deep.equal(names);
        expect(most).to.be.at.most(atOnce);
      }),
      { numRuns: 60 },
    );
  });

  it('only some bring along what they need', () => {
    const actions = [upload('aki'), upload('x'), upload('ami', ['aki']), update('there', ['ami'])];
    const named = (...only: string[]) => wantedActions(actions, new Set(only)).map(({ name }) => name);
    expect(named('there')).to.deep.equal(['aki', 'ami', 'there']);
    expect(named('x', 'nothing')).to.deep.equal(['x']);
    expect(wantedActions(actions, null)).to.equal(actions);
  });
});
