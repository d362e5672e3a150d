import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { tokenKeyLimits } from '../../src/core/limits.ts';
import type { Logger } from '../../src/core/log.ts';
import { OwnTokenKeys, readTokenKeys } from '../../src/token/ownKeys.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { newTokenKey } from '../support/tokenKeys.ts';

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

  it('publishes no more than partners take', async () => {
    for (let i = 0; i <= tokenKeyLimits.keys; i++) write(`${i}.pem`, newTokenKey('EdDSA').pem);
    const { keys, problems } = await readTokenKeys(directory.path);
    expect(keys).to.have.length(tokenKeyLimits.keys);
    expect(problems).to.have.length(1);
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
    expect(await own.list()).to.deep.equal([]);
    expect(complaints).to.have.length(2);
    path = undefined;
    expect(await own.list()).to.deep.equal([]);
  });
});
