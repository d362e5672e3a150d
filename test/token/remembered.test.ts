import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { localiseLimits } from '../../src/core/limits.ts';
import { Remembered } from '../../src/token/remembered.ts';
import { createSteadyClock } from '../support/clock.ts';
import { rejection } from '../support/errors.ts';

describe('token/remembered', () => {
  const clock = createSteadyClock();
  let asked = 0;
  const answering = (answer: string | null) => async () => {
    asked += 1;
    return answer;
  };
  beforeEach(() => {
    asked = 0;
  });

  it('asks once for many, and again when the answer is old; what is missing soon, what is there later', async () => {
    const remembered = new Remembered<string>(clock);
    const many = await Promise.all(Array.from({ length: 9 }, () => remembered.get('a', answering('x'))));
    expect([many.length, asked]).to.deep.equal([9, 1]);
    clock.advance(localiseLimits.knownMs - 1);
    await remembered.get('a', answering('y'));
    expect(asked).to.equal(1);
    clock.advance(1);
    expect(await remembered.get('a', answering(null))).to.equal(null);
    clock.advance(localiseLimits.missingMs);
    expect(await remembered.get('a', answering('z'))).to.equal('z');
  });

  it('grows old by the time that passes, whatever is done to the clock', async () => {
    const remembered = new Remembered<string>(clock);
    await remembered.get('a', answering('x'));
    clock.set(-3600_000);
    clock.advance(localiseLimits.knownMs - 1);
    expect(await remembered.get('a', answering('y'))).to.equal('x');
    clock.set(7200_000);
    expect(await remembered.get('a', answering('y'))).to.equal('x');
    clock.set(-7200_000);
    clock.advance(1);
    expect(await remembered.get('a', answering('y'))).to.equal('y');
  });

  it('remembers no failure', async () => {
    const remembered = new Remembered<string>(clock);
    const failing = () => Promise.reject(new AllianceError('keystone_unreachable'));
    await rejection(remembered.get('a', failing), 'keystone_unreachable');
    expect(await remembered.get('a', answering('x'))).to.equal('x');
  });

  it('forgets the oldest when there are too many', async () => {
    const remembered = new Remembered<string>(clock);
    for (let i = 0; i <= localiseLimits.entries; i += 1) await remembered.get(`key ${i}`, answering('x'));
    const before = asked;
    await remembered.get(`key ${localiseLimits.entries}`, answering('x'));
    expect(asked).to.equal(before);
    await remembered.get('key 0', answering('x'));
    expect(asked).to.equal(before + 1);
  });
});
