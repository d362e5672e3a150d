import { expect } from 'chai';
import { Bounded } from '../../src/core/bounded.ts';

const keys = ['a', 'b', 'c', 'd'];
const held = (map: Bounded<number>): string => keys.filter((key) => map.get(key) !== undefined).join('');

describe('Bounded', () => {
  it('forgets what was put in longest ago; what is put in again is young', () => {
    const map = new Bounded<number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    map.set('c', 4);
    expect(held(map)).to.equal('ac');
    expect(map.get('a')).to.equal(3);
    map.delete('a');
    map.set('d', 5);
    expect(held(map)).to.equal('cd');
    map.clear();
    expect(held(map)).to.equal('');
  });

  it('keeps to a limit that has changed from the next entry on', () => {
    let limit = 3;
    const map = new Bounded<number>(() => limit);
    for (const key of ['a', 'b', 'c']) map.set(key, 1);
    limit = 2;
    map.set('d', 1);
    expect(held(map)).to.equal('cd');
    limit = 0;
    map.set('a', 1);
    expect(held(map)).to.equal('');
  });
});
