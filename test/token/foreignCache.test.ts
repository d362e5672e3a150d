import { expect } from 'chai';
import type { PartnerUid } from '../../src/core/ids.ts';
import { foreignLimits, wireLimits } from '../../src/core/limits.ts';
import { parseToken } from '../../src/lproxy/keystoneBodies.ts';
import { ForeignCache, memoryOf } from '../../src/token/foreignCache.ts';
import { RevocationMarks } from '../../src/token/revocation/marks.ts';
import { bodyOf } from '../support/foreign.ts';

describe('token/foreignCache', () => {
  const uid = 'abc' as PartnerUid;
  const clock = { now: () => Date.UTC(2030, 0, 1), monotonic: () => 1000 };
  let cache: ForeignCache;
  const body = bodyOf('a', { issuedAt: clock.now(), expiresAt: clock.now() + 1e6 });
  const keyOf = (id: string) => cache.keyOf(uid, false, id);
  const keep = (id: string, text = body) =>
    cache.keep(keyOf(id), { partnerUid: uid, body: text, facts: parseToken(body), allowExpired: false, askedAt: 1000 });
  const held = (ids: readonly string[]) => ids.filter((id) => cache.read(keyOf(id)) !== undefined);

  beforeEach(() => {
    const marks = new RevocationMarks(clock);
    marks.confirm(uid, 1000);
    const bounds = () => ({ ageMs: 60_000, entries: 1000 });
    cache = new ForeignCache({ clock, marks, head: () => 0, bounds, staleMs: () => 0 });
  });

  it('holds no more bytes than it may, and says so again of what was put in anew', () => {
    // As large as an answer can be; all of them are one string, so that the test is not.
    const large = ' '.repeat(wireLimits.stringBytes);
    const room = Math.floor(foreignLimits.cacheBytes / memoryOf(large));
    const keys = Array.from({ length: 2 * room }, (_, i) => `k${i}`);
    for (const key of keys) keep(key, large);
    expect(held(keys)).to.deep.equal(keys.slice(-room));
    for (let i = 0; i < 10 * room; i++) keep('same', large);
    expect(held([...keys, 'same'])).to.deep.equal([...keys.slice(1 - room), 'same']);
    for (const key of keys) cache.drop(keyOf(key));
    const small = Array.from({ length: 1000 }, (_, i) => `s${i}`);
    for (const key of small) keep(key);
    expect(held(small)).to.have.length(1000);
  });

  it('reckons with what is read of a body, not only with its length', () => {
    const roles = (count: number) => JSON.stringify(Array.from({ length: count }, () => ({ id: '', name: '' })));
    expect(memoryOf(roles(1000)) - memoryOf(roles(0))).to.be.at.least(1000 * (3 * 18 + 3 * foreignLimits.nodeBytes));
    expect(memoryOf('"ä"')).to.be.lessThan(memoryOf('"Ā"'));
  });

  it('keeps what is of one partner, however much and however large the bodies of another are', () => {
    const [mine, flood] = ['mine', 'flood'].map((name) => name.padEnd(26, 'x') as PartnerUid) as [
      PartnerUid,
      PartnerUid,
    ];
    const marks = new RevocationMarks(clock);
    for (const each of [mine, flood]) marks.confirm(each, 1000);
    const bounds = () => ({ ageMs: 60_000, entries: 1000 });
    const shared = new ForeignCache({ clock, marks, head: () => 0, bounds, staleMs: () => 0 });
    const facts = parseToken(body);
    const put = (partnerUid: PartnerUid, id: string, text: string) => {
      const key = shared.keyOf(partnerUid, false, id);
      shared.keep(key, { partnerUid, body: text, facts, allowExpired: false, askedAt: 1000 });
      return key;
    };
    const keys = Array.from({ length: 400 }, (_, n) => put(mine, `${n}`, body));
    const refused = Array.from({ length: 400 }, (_, n) => shared.keyOf(mine, false, `r${n}`));
    for (const key of refused) shared.refuse(key, 1000);
    for (let n = 0; n < 5000; n++) put(flood, `${n}`, body);
    const large = ' '.repeat(wireLimits.stringBytes);
    for (let n = 0; n < 100; n++) put(flood, `l${n}`, large);
    for (let n = 0; n < 2 * foreignLimits.negativeEntries; n++)
      shared.refuse(shared.keyOf(flood, false, `r${n}`), 1000);
    expect(keys.filter((key) => typeof shared.read(key) === 'object')).to.have.length(400);
    expect(refused.filter((key) => shared.read(key) === 'invalid')).to.have.length(400);
  });

  it('has keys that tell nothing of the token, are of one partner, and differ between processes', () => {
    const other = new ForeignCache({
      clock,
      marks: new RevocationMarks(clock),
      head: () => 0,
      bounds: () => ({ ageMs: 1, entries: 1 }),
      staleMs: () => 0,
    });
    expect(cache.idOf('token')).to.equal(cache.idOf('token')).and.not.to.equal(other.idOf('token'));
    for (const allowExpired of [true, false])
      expect(cache.partnerOf(cache.keyOf(uid, allowExpired, cache.idOf('token')))).to.equal(uid);
    expect(cache.keyOf(uid, true, 'x')).not.to.equal(cache.keyOf(uid, false, 'x'));
  });

  it('what is void is taken out, and what is of others stays', () => {
    keep('k');
    cache.sweep((each) => each !== uid);
    expect(held(['k'])).to.have.length(1);
    cache.sweep((each) => each === uid);
    expect(held(['k'])).to.have.length(0);
  });
});
