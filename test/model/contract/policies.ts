/** What every engine must do about policies and the log of executions. */
import { expect } from 'chai';
import { imagePolicyLimits } from '../../../src/core/limits.ts';
import type { NewLogLine } from '../../../src/model/executionLog.ts';
import type { Bench } from './bench.ts';

export function describePolicies(bench: Bench): void {
  describe('policies', () => {
    const policies = () => bench.store.policies;

    it('are due once, by whatever comes first, and one of several takes the run', async () => {
      await policies().begin('nightly', '0 3 * * * UTC', 1000);
      expect(await policies().get('nightly')).to.deep.equal({
        ...{ name: 'nightly', disabled: false, trigger: '0 3 * * * UTC', seenTill: 1000 },
        ...{ due: null, lastExecution: null, skippedAt: null },
      });
      expect(await policies().take('nightly')).to.equal(null);
      expect(await policies().seen('nightly', 1000, 2000, 'cron')).to.equal(true);
      await policies().ask('nightly', 'manual', 3000);
      expect((await policies().get('nightly'))?.due).to.deep.equal({ since: 2000, reason: 'cron' });
      const other = (await bench.another()).policies;
      const taken = await Promise.all([policies().take('nightly'), other.take('nightly')]);
      expect(taken).to.have.members(['cron', null]);
      await policies().started('nightly', 'e1');
      await policies().skipped('nightly', 4000);
      expect(await policies().list()).to.have.nested.property('[0].lastExecution', 'e1');
      expect(await policies().get('nightly')).to.include({ skippedAt: 4000, due: null });
      await policies().started('never seen', 'e2');
      expect(await policies().get('never seen')).to.include({ lastExecution: 'e2', trigger: '', disabled: false });
    });

    it('are counted on by one of several processes', async () => {
      await policies().begin('p', 'event', 1000);
      const other = (await bench.another()).policies;
      const got = await Promise.all([policies().seen('p', 1000, 5000, null), other.seen('p', 1000, 5001, 'cron')]);
      expect(got).to.have.members([true, false]);
      expect(await policies().seen('p', 1000, 9000, 'cron')).to.equal(false);
    });

    it('that are switched off run only when asked to, and stay so whatever the configuration says', async () => {
      await policies().begin('p', 'event', 1000);
      await policies().seen('p', 1000, 2000, 'cron');
      await policies().setDisabled('p', true);
      await policies().setDisabled('unheard-of', true);
      expect((await policies().list()).map(({ name, disabled, due }) => [name, disabled, due])).to.deep.equal([
        ['p', true, null],
        ['unheard-of', true, null],
      ]);
      await policies().ask('p', 'cron', 3000);
      expect(await policies().take('p')).to.equal(null);
      await policies().setDisabled('p', true);
      await policies().ask('p', 'manual', 3000);
      expect(await policies().take('p')).to.equal('manual');
      await policies().begin('q', 'event', 1);
      await policies().retain([], 1);
      expect(await policies().list()).to.have.length(3);
      await policies().retain([], 2);
      expect((await policies().list()).map(({ name }) => name)).to.deep.equal(['p', 'unheard-of']);
      await policies().setDisabled('p', false);
      expect(await policies().get('p')).to.include({ disabled: false, trigger: '' });
      await policies().retain(['unheard-of'], 5000);
      expect((await policies().list()).map(({ name }) => name)).to.deep.equal(['unheard-of']);
    });

    it('remember how images looked, and forget it with their trigger', async () => {
      await policies().begin('p', 'event', 1000);
      expect(await policies().baseline('p')).to.equal(null);
      await policies().setBaseline('p', new Map(), false, 1000);
      expect(await policies().baseline('p')).to.deep.equal(new Map());
      await policies().setBaseline('p', new Map([['a', '1'], ['b', '2']]), false, 1000); // biome-ignore format: pairs
      expect((await policies().get('p'))?.due).to.equal(null);
      const next = new Map([['b', '3'], ['c', '4']]); // biome-ignore format: pairs
      await policies().setBaseline('p', next, true, 2000);
      expect(await policies().baseline('p')).to.deep.equal(next);
      expect((await policies().get('p'))?.due).to.deep.equal({ since: 2000, reason: 'event' });
      await policies().begin('p', 'event UTC', 3000);
      expect(await policies().baseline('p')).to.equal(null);
      await policies().setBaseline('p', next, false, 1000);
      await policies().retain([], 5000);
      await policies().begin('p', 'event', 1000);
      expect(await policies().baseline('p')).to.equal(null);
    });
  });

  describe('logs of executions', () => {
    const line = (text: string): NewLogLine => ({ at: 1, level: 'info', region: 'B', image: null, text });
    const begin = (id: string) =>
      bench.store.executions.begin({
        ...{ id, trigger: 'manual', source: 'A', regions: ['B'] },
        options: { compat: false, only: null, parallel: 1, imagesParallel: 1, maxBytes: null, approved: false },
      });

    it('grow by lines that have a number, up to a bound, and are read page by page', async () => {
      const { executionLog } = bench.store;
      await executionLog.append('e', [line('first'), line('x'.repeat(imagePolicyLimits.logTextCharacters + 1))]);
      await executionLog.append('e', [line('third')]);
      await executionLog.append('other', [line('not this one')]);
      const lines = await executionLog.read('e', 0);
      expect(lines.map(({ position, text }) => [position, text.length])).to.deep.equal([
        [1, 5],
        [2, imagePolicyLimits.logTextCharacters],
        [3, 5],
      ]);
      expect(lines[0]).to.deep.equal({ ...line('first'), position: 1 });
      expect((await executionLog.read('e', 2)).map(({ text }) => text)).to.deep.equal(['third']);
      const { logLines, logPageLines } = imagePolicyLimits;
      await executionLog.append('e', new Array(logLines).fill(line('many')));
      expect(await executionLog.read('e', 0)).to.have.length(logPageLines);
      expect((await executionLog.read('e', logLines - 1)).map(({ position }) => position)).to.deep.equal([logLines]);
      await executionLog.append('e', [line('too many')]);
      expect(await executionLog.read('e', logLines)).to.deep.equal([]);
    });

    it('are forgotten with the execution', async () => {
      const { executionLog, executions } = bench.store;
      for (const id of ['e1', 'e2']) {
        await begin(id);
        await executionLog.append(id, [line(id)]);
      }
      await executions.end('e1', 'done', null);
      expect(await executions.delete('e1')).to.equal(true);
      await bench.store.prune(bench.clock.now());
      expect(await executionLog.read('e1', 0)).to.deep.equal([]);
      expect(await executionLog.read('e2', 0)).to.have.length(1);
    });
  });
}
