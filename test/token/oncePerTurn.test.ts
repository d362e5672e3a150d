import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { OncePerTurn } from '../../src/token/oncePerTurn.ts';
import { rejection } from '../support/errors.ts';

describe('token/oncePerTurn', () => {
  it('asks once in a turn for each key, and anew in the next', async () => {
    const asked: string[] = [];
    const answers = new OncePerTurn<number>();
    const get = (key: string) => answers.get(key, async () => asked.push(key));
    expect(await Promise.all([get('a'), get('b'), get('a')])).to.deep.equal([1, 2, 1]);
    expect(await get('a')).to.equal(1);
    await turn();
    expect(await get('a')).to.equal(3);
    expect(asked).to.deep.equal(['a', 'b', 'a']);
  });

  it('shares a failure for that turn only', async () => {
    const answers = new OncePerTurn<number>();
    const failing = () => answers.get('a', () => Promise.reject(new AllianceError('database_locked')));
    const both = await Promise.all([failing(), failing()].map((each) => rejection(each, 'database_locked')));
    expect(both[0]).to.equal(both[1]);
    await turn();
    expect(await answers.get('a', async () => 7)).to.equal(7);
  });
});
