import { expect } from 'chai';
import { returnBuffer, takeBuffer } from '../../src/core/largeBuffers.ts';
import { wireLimits } from '../../src/core/limits.ts';

const { pooledFromBytes, pooledStepBytes, pooledBytes } = wireLimits;
const large = pooledFromBytes * 3;

describe('core/largeBuffers', () => {
  it('gives a buffer that was returned to the next who asks for about as much', () => {
    const first = takeBuffer(large);
    expect(first).to.have.length(large);
    returnBuffer(first.subarray(10, 20));
    const second = takeBuffer(large - 1);
    expect(second.buffer).to.equal(first.buffer);
    expect(second).to.have.length(large - 1);
    returnBuffer(second);
  });

  it('gives none to two at once, also when it is returned twice', () => {
    const first = takeBuffer(large);
    returnBuffer(first);
    returnBuffer(first);
    const [a, b] = [takeBuffer(large), takeBuffer(large)];
    expect(a.buffer).not.to.equal(b.buffer);
    for (const each of [a, b]) returnBuffer(each);
  });

  it('leaves alone what it has not given', () => {
    const own = Buffer.alloc(large);
    returnBuffer(own);
    expect(takeBuffer(large).buffer).not.to.equal(own.buffer);
  });

  it('keeps no more than it may', () => {
    const count = Math.ceil(pooledBytes / pooledStepBytes) + 4;
    const taken = Array.from({ length: count }, () => takeBuffer(pooledStepBytes));
    for (const each of taken) returnBuffer(each);
    const before = new Set(taken.map(({ buffer }) => buffer));
    const again = Array.from({ length: count }, () => takeBuffer(pooledStepBytes));
    const used = again.filter(({ buffer }) => before.has(buffer)).length;
    expect(used).to.be.within(1, pooledBytes / pooledStepBytes);
    for (const each of again) returnBuffer(each);
  });

  it('makes small ones anew', () => {
    const first = takeBuffer(pooledFromBytes - 1);
    returnBuffer(first);
    expect(takeBuffer(pooledFromBytes - 1).buffer).not.to.equal(first.buffer);
  });
});
