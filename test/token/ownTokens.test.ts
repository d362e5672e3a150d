/** What a broker knows of its cloud's own tokens, and when it may say that those are all. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { hintLimits } from '../../src/core/limits.ts';
import { createLogger, type Logger } from '../../src/core/log.ts';
import { Keyring } from '../../src/crypto/keyring.ts';
import { idOf, keyOf, OwnTokens } from '../../src/token/ownTokens.ts';
import { createTestClock, createTestFile, type TestFile, testStart } from '../support/store.ts';

const { lifeMs, keepExpiredMs } = hintLimits;
const hour = 3_600_000;

describe('token/ownTokens', () => {
  let file: TestFile;
  let clock: ReturnType<typeof createTestClock>;
  let allHere: boolean;
  let lines: string[];
  const log: Logger = createLogger({ level: 'error', destination: { write: (line: string) => lines.push(line) } });

  beforeEach(() => {
    clock = createTestClock();
    file = createTestFile(clock);
    allHere = true;
    lines = [];
  });
  afterEach(() => file.remove());

  /** A process, with a store of its own. */
  async function open(options: { readonly limit?: number; readonly restored?: boolean; keyring?: Keyring } = {}) {
    const { limit, ...opening } = options;
    const store = await file.open(opening);
    const kept = { store: store.ownTokens, log };
    const own = new OwnTokens({ clock, kept, allHere: () => allHere, ...(limit !== undefined && { limit }) });
    await own.start();
    return { own, store };
  }
  const knows = (own: OwnTokens, token: string): boolean => own.get(idOf(keyOf(token))) !== undefined;
  const learn = (own: OwnTokens, token: string, expiresAt: number, how: 'issued' | 'seen', auditId = `of ${token}`) =>
    own.learn({ token, expiresAt, auditId }, how);
  /** One that is sure. */
  async function openSure(limit?: number) {
    const { own, store } = await open(limit === undefined ? {} : { limit });
    clock.advance(lifeMs);
    return { own, store };
  }

  it('all of them are known to who has seen all for as long as a token may live', async () => {
    const { own } = await open();
    expect(own.knowsAll).to.equal(false);
    clock.advance(lifeMs - 1);
    expect(own.knowsAll).to.equal(false);
    clock.advance(1);
    expect(own.knowsAll).to.equal(true);
  });

  it('never where the operator does not say that all logins come through here, and not until long after it does', async () => {
    const { own } = await openSure();
    allHere = false;
    own.look();
    expect(own.knowsAll).to.equal(false);
    allHere = true;
    own.look();
    expect(own.knowsAll).to.equal(false);
    clock.advance(lifeMs);
    expect(own.knowsAll).to.equal(true);
  });

  it('outlive a process that ends in order, and so does being sure', async () => {
    const before = await openSure();
    learn(before.own, 't', clock.now() + hour, 'issued');
    await before.own.stop();
    const { own } = await open();
    expect([own.knowsAll, knows(own, 't'), knows(own, 'u')]).to.deep.equal([true, true, false]);
    clock.advance(hour + keepExpiredMs - 1);
    expect(knows(own, 't'), 'expired').to.equal(true);
    clock.advance(1);
    expect(knows(own, 't')).to.equal(false);
  });

  it('after a process that did not, those that were stored are known, and nobody is sure', async () => {
    const before = await openSure();
    learn(before.own, 't', clock.now() + hour, 'issued');
    const stored = async () => (await before.store.ownTokens.takeUp(0, 100)).tokens.length;
    while ((await stored()) === 0) await new Promise(setImmediate);
    const { own } = await open();
    expect([own.knowsAll, knows(own, 't')]).to.deep.equal([false, true]);
    await own.stop();
    const next = (await open()).own;
    expect(next.knowsAll, 'as unsure as the one before').to.equal(false);
    clock.advance(lifeMs);
    expect(next.knowsAll).to.equal(true);
  });

  it('an end in order counts once', async () => {
    await (await openSure()).own.stop();
    expect((await open()).own.knowsAll).to.equal(true);
    expect((await open()).own.knowsAll, 'the one before did not end').to.equal(false);
  });

  it('while logins may come in other ways, an end in order leaves nobody sure', async () => {
    allHere = false;
    const before = await openSure();
    await before.own.stop();
    allHere = true;
    expect((await open()).own.knowsAll).to.equal(false);
  });

  it('a token that was issued past the broker shows that it does not know all, once and to the operator', async () => {
    const { own } = await openSure();
    learn(own, 'mine', clock.now() + hour, 'issued');
    learn(own, 'mine', clock.now() + hour, 'seen');
    expect([own.knowsAll, lines.length]).to.deep.equal([true, 0]);
    for (const token of ['other', 'third']) learn(own, token, clock.now() + hour, 'seen');
    expect([own.knowsAll, lines.length]).to.deep.equal([false, 1]);
    clock.advance(lifeMs);
    expect(own.knowsAll).to.equal(true);
  });

  it('where there are too many, those that end first are forgotten, and nobody is sure until they have ended', async () => {
    const { own } = await openSure(2);
    const now = clock.now();
    learn(own, 'long', now + 3 * hour, 'issued');
    learn(own, 'short', now + hour, 'issued');
    expect(own.knowsAll).to.equal(true);
    learn(own, 'middle', now + 2 * hour, 'issued');
    expect(['long', 'short', 'middle'].map((token) => knows(own, token))).to.deep.equal([true, false, true]);
    expect(own.knowsAll).to.equal(false);
    clock.advance(hour);
    expect(own.knowsAll).to.equal(true);
  });

  it('those that others show push none out that were issued here, and are many at most', async () => {
    const { own } = await openSure(3);
    learn(own, 'mine', clock.now() + hour, 'issued');
    for (let n = 0; n < 9; n++) learn(own, `seen ${n}`, clock.now() + 2 * hour + n, 'seen');
    expect(['mine', 'seen 5', 'seen 6', 'seen 8'].map((token) => knows(own, token))).to.deep.equal([
      true,
      false,
      true,
      true,
    ]);
    expect([...own]).to.have.length(4);
  });

  it('another text of a token that was issued here shows no login past the broker, also after a restart', async () => {
    const before = await openSure();
    learn(before.own, 'mine', clock.now() + hour, 'issued', 'one');
    learn(before.own, 'mine too', clock.now() + hour, 'seen', 'one');
    expect([before.own.knowsAll, lines]).to.deep.equal([true, []]);
    await before.own.stop();
    const { own } = await open();
    learn(own, 'mine again', clock.now() + hour, 'seen', 'one');
    expect([own.knowsAll, lines, knows(own, 'mine again')]).to.deep.equal([true, [], true]);
    learn(own, 'other', clock.now() + hour, 'seen', 'two');
    expect([own.knowsAll, lines.length]).to.deep.equal([false, 1]);
  });

  it('what is stored is no more than what is known: neither shown ones, nor what had to go, nor where nobody asks for it', async () => {
    const { own, store } = await openSure(3);
    for (let n = 0; n < 9; n++) {
      learn(own, `issued ${n}`, clock.now() + hour + n, 'issued');
      learn(own, `seen ${n}`, clock.now() + 2 * hour, 'seen');
    }
    allHere = false;
    learn(own, 'unasked', clock.now() + 3 * hour, 'issued');
    expect(knows(own, 'unasked')).to.equal(true);
    await own.stop();
    const { tokens } = await store.ownTokens.takeUp(0, 100);
    const ids = ['issued 6', 'issued 7', 'issued 8'].map((token) => keyOf(token).toString('hex'));
    expect(tokens.map(({ key }) => key.toString('hex'))).to.have.members(ids);
  });

  it('what is left of more than may be known are those that end last, and nobody is sure that they are all', async () => {
    const many = await openSure(9);
    for (let n = 0; n < 9; n++) learn(many.own, `t${n}`, clock.now() + hour + (n >> 1), 'issued');
    await many.own.stop();
    const { own, store } = await open({ limit: 2 });
    expect([[...own].length, knows(own, 't8'), own.knowsAll]).to.deep.equal([2, true, false]);
    expect((await store.ownTokens.takeUp(0, 100)).tokens).to.have.length(2);
  });

  it('thousands are learnt and taken up in no time, whichever have to go', async () => {
    const { own } = await openSure();
    const started = performance.now();
    const end = clock.now() + hour;
    for (let n = 0; n < 3 * hintLimits.ownTokens; n++) learn(own, `t${n}`, end + ((n * 7919) % 30_000), 'issued');
    expect((performance.now() - started) / (3 * hintLimits.ownTokens), 'ms each').to.be.below(0.05);
    expect([...own]).to.have.length(hintLimits.ownTokens);
    await own.stop();
    const again = performance.now();
    expect([...(await open()).own]).to.have.length(hintLimits.ownTokens);
    expect(performance.now() - again).to.be.below(2000);
  });

  it('what cannot be stored is no orderly end', async () => {
    const { own: before, store } = await openSure();
    await before.stop();
    const full: typeof store.ownTokens = { ...store.ownTokens, add: () => Promise.reject(new Error('disk full')) };
    const own = new OwnTokens({ clock, kept: { store: full, log }, allHere: () => allHere });
    await own.start();
    expect(own.knowsAll).to.equal(true);
    learn(own, 't', clock.now() + hour, 'issued');
    await own.stop();
    expect((await open()).own.knowsAll).to.equal(false);
  });

  it('are sealed: a database shows neither the token nor what its hints are made of; another keyring reads none', async () => {
    const { own, store } = await openSure();
    learn(own, 'secret-token', clock.now() + hour, 'issued');
    await own.stop();
    await store.backup(`${file.path}.copy`);
    const bytes = readFileSync(`${file.path}.copy`);
    for (const part of ['secret-token', keyOf('secret-token'), keyOf('secret-token').toString('hex')])
      expect(bytes.includes(part)).to.equal(false);
  });

  it('a restored database knows nothing of what was issued since', async () => {
    const before = await openSure();
    learn(before.own, 't', clock.now() + hour, 'issued');
    await before.own.stop();
    const keyring = new Keyring(1, new Map([[1, Buffer.alloc(32, 9)]]));
    const { own } = await open({ restored: true, keyring });
    expect([own.knowsAll, knows(own, 't')]).to.deep.equal([false, false]);
  });

  it('without a store nothing outlives the process', () => {
    const own = new OwnTokens({ clock, allHere: () => true });
    learn(own, 't', testStart + hour, 'issued');
    expect([own.knowsAll, knows(own, 't')]).to.deep.equal([true, true]);
    learn(own, 'late', testStart, 'issued');
    expect(knows(own, 'late')).to.equal(false);
  });
});
