import { fork } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { hasEnded, ownProcess } from '../../src/core/ownProcess.ts';

describe('names of processes', () => {
  it('this one runs', () => {
    expect(hasEnded(ownProcess())).to.equal(false);
  });

  it('one that was killed has ended', async () => {
    const child = fork('-e', ['setTimeout(() => {}, 1e6)'], { execArgv: [] });
    const [, , ...place] = ownProcess().split(' ');
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    expect(hasEnded([child.pid, 1, ...place].join(' '))).to.equal(true);
  });

  it('one with its number that began at another time is another one', () => {
    const [pid, start, ...place] = ownProcess().split(' ');
    expect(hasEnded([pid, Number(start) + 1, ...place].join(' '))).to.equal(true);
  });

  it('of another machine, another boot, or of an unknown form nobody can tell', () => {
    const [pid, start, boot, space] = ownProcess().split(' ') as [string, string, string, string];
    for (const name of [
      `999999999 ${start} other ${space}`,
      `999999999 ${start} ${boot} pid:[1]`,
      '999999999',
      '',
      'x y z',
    ])
      expect(hasEnded(name), name).to.equal(false);
    expect(pid).to.equal(String(process.pid));
  });
});
