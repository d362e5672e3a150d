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
    before.own.learn('t', clock.now() + hour, 'issued');
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
    before.own.learn('t', clock.now() + hour, 'issued');
    const stored = async () => (await before.store.ownTokens.takeUp(0)).tokens.length;
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
    own.learn('mine', clock.now() + hour, 'issued');
    own.learn('mine', clock.now() + hour, 'seen');
    expect([own.knowsAll, lines.length]).to.deep.equal([true, 0]);
    for (const token of ['other', 'third']) own.learn(token, clock.now() + hour, 'seen');
    expect([own.knowsAll, lines.length]).to.deep.equal([false, 1]);
    clock.advance(lifeMs);
    expect(own.knowsAll).to.equal(true);
  });

  it('where there are too many, those that end first are forgotten, and nobody is sure until they have ended', async () => {
    const { own } = await openSure(2);
    const now = clock.now();
    own.learn('long', now + 3 * hour, 'issued');
    own.learn('short', now + hour, 'issued');
    expect(own.knowsAll).to.equal(true);
    own.learn('middle', now + 2 * hour, 'issued');
    expect(['long', 'short', 'middle'].map((token) => knows(own, token))).to.deep.equal([true, false, true]);
    expect(own.knowsAll).to.equal(false);
    clock.advance(hour);
    expect(own.knowsAll).to.equal(true);
  });

  it('what cannot be stored is no orderly end', async () => {
    const { own: before, store } = await openSure();
    await before.stop();
    const full: typeof store.ownTokens = { ...store.ownTokens, add: () => Promise.reject(new Error('disk full')) };
    const own = new OwnTokens({ clock, kept: { store: full, log }, allHere: () => allHere });
    await own.start();
    expect(own.knowsAll).to.equal(true);
    own.learn('t', clock.now() + hour, 'issued');
    await own.stop();
    expect((await open()).own.knowsAll).to.equal(false);
  });

  it('are sealed: a database shows neither the token nor what its hints are made of; another keyring reads none', async () => {
    const { own, store } = await openSure();
    own.learn('secret-token', clock.now() + hour, 'issued');
    await own.stop();
    await store.backup(`${file.path}.copy`);
    const bytes = readFileSync(`${file.path}.copy`);
    for (const part of ['secret-token', keyOf('secret-token'), keyOf('secret-token').toString('hex')])
      expect(bytes.includes(part)).to.equal(false);
  });

  it('a restored database knows nothing of what was issued since', async () => {
    const before = await openSure();
    before.own.learn('t', clock.now() + hour, 'issued');
    await before.own.stop();
    const keyring = new Keyring(1, new Map([[1, Buffer.alloc(32, 9)]]));
    const { own } = await open({ restored: true, keyring });
    expect([own.knowsAll, knows(own, 't')]).to.deep.equal([false, false]);
  });

  it('without a store nothing outlives the process', () => {
    const own = new OwnTokens({ clock, allHere: () => true });
    own.learn('t', testStart + hour, 'issued');
    expect([own.knowsAll, knows(own, 't')]).to.deep.equal([true, true]);
    own.learn('late', testStart, 'issued');
    expect(knows(own, 'late')).to.equal(false);
  });
});
