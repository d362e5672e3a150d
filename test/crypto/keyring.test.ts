import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { createKeyringFile, Keyring, loadKeyring } from '../../src/crypto/keyring.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { refusal } from '../support/errors.ts';

const secret = Buffer.from('session secret');
const aad = ['session', 'row-1', 'secret', 'uid-1'];
const newKeyring = (): Keyring => new Keyring(1, new Map([[1, randomBytes(32)]]));

describe('keyring', () => {
  it('opens what it sealed', () => {
    const keyring = newKeyring();
    for (const plaintext of [secret, Buffer.alloc(0), randomBytes(10_000)])
      expect(keyring.open(keyring.seal(plaintext, aad), aad).equals(plaintext)).to.equal(true);
    expect(keyring.open(keyring.seal(secret, []), []).equals(secret)).to.equal(true);
  });

  it('has the sealed form version, key id, nonce, ciphertext, tag, with a fresh nonce each time', () => {
    const keyring = new Keyring(0x01020304, new Map([[0x01020304, randomBytes(32)]]));
    const [a, b] = [keyring.seal(secret, aad), keyring.seal(secret, aad)];
    expect(a.subarray(0, 5).toString('hex')).to.equal('0101020304');
    expect(a).to.have.length(5 + 12 + secret.length + 16);
    expect(a.subarray(5, 17).equals(b.subarray(5, 17))).to.equal(false);
    expect(a.includes(secret)).to.equal(false);
  });

  const elsewhere: [string, string[]][] = [
    ['another table', ['invitation', 'row-1', 'secret', 'uid-1']],
    ['another row', ['session', 'row-2', 'secret', 'uid-1']],
    ['another column', ['session', 'row-1', 'continuity', 'uid-1']],
    ['another partner', ['session', 'row-1', 'secret', 'uid-2']],
    ['one part less', ['session', 'row-1', 'secret']],
    ['one part more', ['session', 'row-1', 'secret', 'uid-1', '']],
    ['parts cut elsewhere', ['session', 'row-1', 'secretu', 'id-1']],
    ['parts in another order', ['row-1', 'session', 'secret', 'uid-1']],
    ['nothing', []],
  ];
  for (const [place, otherAad] of elsewhere)
    it(`refuses a value moved to ${place}`, () => {
      const keyring = newKeyring();
      refusal(() => keyring.open(keyring.seal(secret, aad), otherAad), 'seal_broken');
    });

  it('refuses every altered byte and every truncation', () => {
    const keyring = newKeyring();
    const sealed = keyring.seal(secret, aad);
    for (let at = 0; at < sealed.length; at++) {
      const altered = Buffer.from(sealed);
      altered[at]! ^= 1;
      refusal(() => keyring.open(altered, aad), 'seal_broken');
      refusal(() => keyring.open(sealed.subarray(0, at), aad), 'seal_broken');
    }
    refusal(() => keyring.open(Buffer.concat([sealed, Buffer.alloc(1)]), aad), 'seal_broken');
  });

  it('refuses values of unknown keys, and of another key with the same id', () => {
    const sealed = newKeyring().seal(secret, aad);
    refusal(() => newKeyring().open(sealed, aad), 'seal_broken');
    const error = refusal(() => new Keyring(2, new Map([[2, randomBytes(32)]])).open(sealed, aad), 'seal_broken');
    expect(error.details).to.match(/not in the keyring/);
  });

  it('binds the key id: two ids with one key do not open for each other', () => {
    const key = randomBytes(32);
    const keys = new Map([
      [1, key],
      [2, key],
    ]);
    const sealed = new Keyring(1, keys).seal(secret, aad);
    sealed.writeUInt32BE(2, 1);
    refusal(() => new Keyring(1, keys).open(sealed, aad), 'seal_broken');
  });

  it('hashes by purpose and key, the same every time', () => {
    const keyring = newKeyring();
    const hash = keyring.hash('soft-cache', 'token');
    expect(hash).to.have.length(32);
    expect(keyring.hash('soft-cache', Buffer.from('token')).equals(hash)).to.equal(true);
    expect(keyring.hash('hints', 'token').equals(hash)).to.equal(false);
    expect(keyring.hash('soft-cache', 'token2').equals(hash)).to.equal(false);
    expect(newKeyring().hash('soft-cache', 'token').equals(hash)).to.equal(false);
  });

  it('takes keys of 32 bytes, ids of 32 bits and a current key that is there', () => {
    const key = randomBytes(32);
    expect(() => new Keyring(1, new Map([[1, randomBytes(16)]]))).to.throw(RangeError);
    expect(() => new Keyring(2, new Map([[1, key]]))).to.throw(RangeError);
    for (const id of [0, -1, 1.5, 2 ** 32]) expect(() => new Keyring(id, new Map([[id, key]]))).to.throw(RangeError);
  });

  it('shows no key when it is logged', () => {
    const key = randomBytes(32);
    const keyring = new Keyring(1, new Map([[1, key]]));
    expect(JSON.stringify(keyring)).to.equal('{"current":1}');
  });
});

describe('keyring file', () => {
  let directory: TemporaryDirectory;
  let path: string;
  before(() => {
    directory = temporaryDirectory();
  });
  after(() => directory.remove());
  let files = 0;
  beforeEach(() => {
    files += 1;
    path = directory.file(`kek-${files}`);
  });
  const configurationError = (act: () => unknown): string => {
    const error = refusal(act, 'configuration');
    expect(error.field).to.equal('database.kek_file');
    expect(error.cause).to.equal(undefined);
    return error.details!;
  };

  it('is created with mode 0600, a new key each time, and nothing left beside it', () => {
    expect(createKeyringFile(path)).to.equal(true);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    const other = directory.file('other');
    createKeyringFile(other);
    const sealed = loadKeyring(path).seal(secret, aad);
    expect(loadKeyring(path).open(sealed, aad).equals(secret)).to.equal(true);
    refusal(() => loadKeyring(other).open(sealed, aad), 'seal_broken');
    expect(readdirSync(directory.path).filter((name) => name.endsWith('.new'))).to.deep.equal([]);
  });

  it('is never overwritten by a new one', () => {
    createKeyringFile(path);
    const before = readFileSync(path);
    expect(createKeyringFile(path)).to.equal(false);
    expect(readFileSync(path).equals(before)).to.equal(true);
    expect(readdirSync(directory.path).filter((name) => name.endsWith('.new'))).to.deep.equal([]);
  });

  it('does not follow a dangling link when created', () => {
    symlinkSync(directory.file('nowhere'), path);
    expect(createKeyringFile(path)).to.equal(false);
  });

  it('says when it cannot be written or read', () => {
    const missing = `${directory.file('missing')}/kek`;
    expect(configurationError(() => createKeyringFile(missing))).to.match(/cannot be written \(ENOENT\)/);
    expect(configurationError(() => loadKeyring(missing))).to.match(/cannot be read \(ENOENT\)/);
  });

  for (const mode of [0o640, 0o604, 0o660, 0o601, 0o620, 0o777])
    it(`is refused with mode ${mode.toString(8)}, and the error says what to do`, () => {
      createKeyringFile(path);
      chmodSync(path, mode);
      expect(configurationError(() => loadKeyring(path))).to.include(`chmod 600 ${path}`);
    });

  it('may be read-only', () => {
    createKeyringFile(path);
    chmodSync(path, 0o400);
    expect(loadKeyring(path).current).to.equal(1);
  });

  it('is refused where it is no regular file', () => {
    mkdirSync(path, { mode: 0o700 });
    expect(configurationError(() => loadKeyring(path))).to.match(/no regular file/);
    const pipe = directory.file('pipe');
    execFileSync('/usr/bin/mkfifo', ['-m', '600', pipe]);
    expect(configurationError(() => loadKeyring(pipe))).to.match(/no regular file/);
  });

  it('is refused when damaged, and no key is quoted', () => {
    const key = randomBytes(32).toString('base64url');
    const damaged = [
      '',
      'hello',
      'null',
      '[]',
      '{}',
      `{"current":1,"keys":{"1":"${key}"}`,
      `{"current":2,"keys":{"1":"${key}"}}`,
      `{"current":"1","keys":{"1":"${key}"}}`,
      `{"current":0,"keys":{"0":"${key}"}}`,
      `{"current":1,"keys":{"1":"${key}","01":"${key}"}}`,
      `{"current":1,"keys":{"1":"${key}","4294967296":"${key}"}}`,
      `{"current":1,"keys":{"1":"${key.slice(1)}"}}`,
      `{"current":1,"keys":{"1":"${key}="}}`,
      '{"current":1,"keys":{"1":null}}',
      `{"current":1,"keys":{"1":"${key}"}}${' '.repeat(70_000)}`,
    ];
    for (const text of damaged) {
      writeFileSync(path, text, { mode: 0o600 });
      const details = configurationError(() => loadKeyring(path));
      expect(details, text.slice(0, 60)).to.match(/no keyring|larger than 64 KiB/);
      expect(details).not.to.include(key.slice(1, 12));
    }
  });
});
