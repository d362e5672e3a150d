import { expect } from 'chai';
import { FairShares } from '../../src/token/fairShares.ts';

describe('token/fairShares', () => {
  const fill = (shares: FairShares<string, string>, owner: string, count: number, weight = 1) => {
    for (let n = 0; n < count; n++) shares.set(owner, `${owner}${n}`, `${owner}${n}`, weight);
  };
  const held = (shares: FairShares<string, string>, of: string) =>
    [...shares].filter(([owner]) => owner === of).map(([, key]) => key);

  it('lets one owner have all of it, and makes room for others at the cost of who has the most', () => {
    const gone: string[] = [];
    const shares = new FairShares<string, string>(
      () => ({ entries: 10, weight: 1000 }),
      (owner, value) => gone.push(`${owner}:${value}`),
    );
    fill(shares, 'a', 12);
    expect(held(shares, 'a')).to.deep.equal(Array.from({ length: 10 }, (_, n) => `a${n + 2}`));
    fill(shares, 'b', 3);
    fill(shares, 'a', 100);
    expect(held(shares, 'b')).to.deep.equal(['b0', 'b1', 'b2']);
    expect(held(shares, 'a')).to.have.length(7);
    expect(gone.slice(0, 3)).to.deep.equal(['a:a0', 'a:a1', 'a:a2']);
    expect(gone.some((each) => each.startsWith('b'))).to.equal(false);
  });

  it('weighs entries, so that few large ones push out none of many small ones', () => {
    const shares = new FairShares<string, string>(() => ({ entries: 100, weight: 100 }));
    fill(shares, 'small', 40);
    fill(shares, 'large', 50, 20);
    expect(held(shares, 'small')).to.have.length(40);
    expect(held(shares, 'large')).to.deep.equal(['large47', 'large48', 'large49']);
    shares.set('huge', 'huge', 'huge', 101);
    expect(held(shares, 'huge')).to.deep.equal([]);
    expect(held(shares, 'small')).to.have.length(40);
  });

  it('counts what is put in anew or taken out once', () => {
    const shares = new FairShares<string, string>(() => ({ entries: 3, weight: 3 }));
    for (let n = 0; n < 10; n++) shares.set('a', 'same', String(n), 1);
    fill(shares, 'b', 2);
    expect([shares.get('a', 'same'), ...held(shares, 'b')]).to.deep.equal(['9', 'b0', 'b1']);
    for (let n = 0; n < 3; n++) shares.delete('a', 'same');
    fill(shares, 'c', 1);
    expect([...shares].map(([, key]) => key)).to.deep.equal(['b0', 'b1', 'c0']);
    shares.clear();
    fill(shares, 'a', 3);
    expect(held(shares, 'a')).to.have.length(3);
  });
});
