import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { tokenKeyLimits } from '../../src/core/limits.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import type { Partner } from '../../src/model/partner.ts';
import { OwnTokenKeys, readTokenKeys } from '../../src/token/ownKeys.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { jwsToken, newTokenKey, storedKey } from '../support/tokenKeys.ts';

const east = { uid: 'uid-of-east' } as unknown as Partner;

describe('token/ownKeys', () => {
  let directory: TemporaryDirectory;
  const write = (name: string, text: string) => writeFileSync(join(directory.path, name), text);
  const prints = (keys: readonly { readonly thumbprint: Buffer }[]) =>
    keys.map(({ thumbprint }) => thumbprint.toString('hex'));

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  it('reads every public key once, and says what it leaves out', async () => {
    const [first, second] = [newTokenKey(), newTokenKey('ES384')];
    write('a.pem', first.pem);
    write('b.pem', second.pem);
    write('c.pem', first.pem);
    write('d.pem', first.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    write('readme', 'Keys of tokens.');
    write('.hidden', 'x');
    mkdirSync(join(directory.path, 'private'));
    const { keys, problems } = await readTokenKeys(directory.path);
    expect(prints(keys)).to.deep.equal(prints([first, second]));
    expect(problems).to.deep.equal(['d.pem: This is no public key.', 'readme: This is no public key.']);
    expect((await readTokenKeys(join(directory.path, 'missing'))).problems).to.match(/ENOENT/);
  });

  it('publishes no more than partners use, says so, and knows the others as its own all the same', async () => {
    const many = Array.from({ length: tokenKeyLimits.usedPerPartner + 1 }, () => newTokenKey('EdDSA'));
    many.forEach((key, i) => {
      write(`${i}.pem`, key.pem);
    });
    const complaints: unknown[] = [];
    const log = { warn: (facts: unknown) => complaints.push(facts) } as unknown as Logger;
    const own = new OwnTokenKeys({ directory: () => directory.path, clock: createShiftedClock(), log });
    expect(await own.list()).to.have.length(tokenKeyLimits.usedPerPartner);
    expect(complaints).to.have.length(1);
    expect(many.every((key) => own.signers.isOwn(storedKey(key, east)))).to.equal(true);
  });

  it('knows who signs by the token of the broker, also while that has none for a moment', async () => {
    const [key, later] = [newTokenKey(), newTokenKey()];
    write('a.pem', key.pem);
    let held: string | undefined;
    const own = new OwnTokenKeys({ directory: () => directory.path, clock: createShiftedClock(), log: silentLogger });
    own.watch({ heldToken: () => held });
    await own.list();
    expect(own.signers.certain).to.equal(false);
    held = jwsToken(key);
    expect(own.signers.certain).to.equal(true);
    expect(own.signers).to.equal(own.signers);
    held = undefined;
    expect(own.signers.certain).to.equal(true);
    held = jwsToken(later);
    expect([own.signers.certain, own.signers.isOwn(storedKey(later, east))]).to.deep.equal([false, true]);
  });

  it('looks again after a while, complains once, and publishes nothing where nothing is configured', async () => {
    const clock = createShiftedClock();
    let path: string | undefined = directory.path;
    const complaints: unknown[] = [];
    const log = { warn: (facts: unknown) => complaints.push(facts) } as unknown as Logger;
    const own = new OwnTokenKeys({ directory: () => path, clock, log });
    write('bad.pem', 'x');
    expect(await own.list()).to.deep.equal([]);
    const key = newTokenKey();
    write('a.pem', key.pem);
    expect(await own.list()).to.deep.equal([]);
    clock.elapse(tokenKeyLimits.readMs + 1);
    expect(prints(await own.list())).to.deep.equal(prints([key]));
    expect(complaints).to.have.length(1);
    rmSync(directory.path, { recursive: true });
    clock.elapse(tokenKeyLimits.readMs + 1);
    expect(prints(await own.list()), 'as it was last').to.deep.equal(prints([key]));
    clock.elapse(tokenKeyLimits.readMs + 1);
    expect(prints(await own.list())).to.deep.equal(prints([key]));
    expect(complaints).to.have.length(2);
    mkdirSync(directory.path);
    clock.elapse(tokenKeyLimits.readMs + 1);
    expect(await own.list(), 'taken away').to.deep.equal([]);
    path = undefined;
    expect(await own.list()).to.deep.equal([]);
  });

  it('a file that is no key for a moment stays the key that it was', async () => {
    const key = newTokenKey();
    write('a.pem', key.pem);
    const { files } = await readTokenKeys(directory.path);
    write('a.pem', '');
    const { keys, problems } = await readTokenKeys(directory.path, files);
    expect(prints(keys)).to.deep.equal(prints([key]));
    expect(problems).to.have.length(1);
  });
});
