import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { rotateIdentity } from '../../src/broker/identity.ts';
import { openInstallation } from '../../src/broker/installation.ts';
import { invite } from '../../src/broker/partners.ts';
import type { PartnerUid } from '../../src/core/ids.ts';
import { silentLogger } from '../../src/core/log.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { checked } from '../support/jsonSchema.ts';
import { newPartner } from '../support/store.ts';

describe('cli/backup and restore', () => {
  const directory = temporaryDirectory();
  const home = directory.file('north');
  const file = directory.file('north.backup');
  let names: string[];

  const run = (args: string, at: string, env = {}) => runCommand([...args.split(' '), '--json'], { home: at, env });
  const errorOf = (stderr: string) => checked<{ name: string; message: string }>('error', JSON.parse(stderr));
  /** Of the home's identity, whose private keys are all there. */
  const fingerprint = async (at: string) => {
    const works = await run('partner list', at);
    expect(works.code, works.stderr).to.equal(0);
    const { stdout, stderr } = await run('identity show', at);
    expect(stderr).to.equal('');
    return (JSON.parse(stdout) as { identities: { fingerprint: string }[] }).identities[0]!.fingerprint;
  };

  const newHome = async (cloudId: string) => {
    const at = directory.file(`home-${cloudId}`);
    const { code, stderr } = await run(`init --cloud-id ${cloudId}`, at);
    expect(code, stderr).to.equal(0);
    return at;
  };
  /** Into a home of its own, whose path is returned. */
  const backUpAndRestore = async (from: string) => {
    const made = await run(`backup ${from}.backup`, from);
    expect(made.code, made.stderr).to.equal(0);
    const { code, stderr } = await run(`restore ${from}.backup`, `${from}-restored`);
    expect(code, stderr).to.equal(0);
    return `${from}-restored`;
  };

  before(async () => {
    expect((await run('init --cloud-id north --advertise tls://north.example:9443', home)).code).to.equal(0);
    const installation = await openInstallation({ home, env: {}, log: silentLogger });
    await invite(installation);
    await installation.close();
    // Its key changes, so that one lives where configuration says and one where rotations put it.
    expect((await run('identity rotate', home)).code).to.equal(0);
    const { code, stdout, stderr } = await run(`backup ${file}`, home);
    expect(code, stderr).to.equal(0);
    const value = checked<{ files: { path: string }[]; with_kek: boolean }>('backup', JSON.parse(stdout));
    names = value.files.map(({ path }) => path);
    expect(value.with_kek).to.equal(false);
  });
  after(() => directory.remove());

  it('holds database, configuration, keys and certificate, is for its owner alone, and has no key-encryption key', () => {
    const isKey = (name: string) => /^identities\/[0-9a-f]{64}\.pem$/.test(name);
    expect(names.filter((name) => !isKey(name))).to.deep.equal(['alliance.db', 'alliance.yaml', 'certificate.pem']);
    expect(names.filter(isKey)).to.have.length(2);
    expect(names).not.to.include('kek');
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const { keys } = JSON.parse(readFileSync(join(home, 'kek'), 'utf8')) as { keys: Record<string, string> };
    expect(readFileSync(file).includes(Buffer.from(keys['1']!))).to.equal(false);
    expect(readdirSync(directory.path).sort()).to.deep.equal(['north', 'north.backup']);
  });

  it('never overwrites a file', async () => {
    const { code, stderr } = await run(`backup ${file}`, home);
    expect([code, errorOf(stderr).name]).to.deep.equal([2, 'usage']);
  });

  it('restores into an empty home, without the key-encryption key, and drops what was sealed', async () => {
    const other = directory.file('restored');
    const { code, stdout, stderr } = await run(`restore ${file}`, other);
    expect(code, stderr).to.equal(0);
    expect(checked('restore', JSON.parse(stdout))).to.include({ home: other, cloud_id: 'north', kept: null });
    expect(await fingerprint(other)).to.equal(await fingerprint(home));
    const invitations = async (at: string) =>
      (JSON.parse((await run('partner list', at)).stdout) as { invitations: object[] }).invitations.length;
    expect(await invitations(home)).to.equal(1);
    expect(await invitations(other)).to.equal(0);
    expect(readdirSync(other).filter((name) => name.startsWith('.'))).to.deep.equal([]);
    for (const name of ['alliance.db', ...names, 'kek'])
      expect(statSync(join(other, name)).mode & 0o777).to.equal(0o600);
  });

  it('--with-kek brings the same key-encryption key back', async () => {
    const full = directory.file('full.backup');
    expect((await run(`backup ${full} --with-kek`, home)).code).to.equal(0);
    const other = directory.file('full');
    expect((await run(`restore ${full}`, other)).code).to.equal(0);
    expect(readFileSync(join(other, 'kek'))).to.deep.equal(readFileSync(join(home, 'kek')));
  });

  it('refuses a home with data; --force keeps what was there', async () => {
    const other = directory.file('full');
    const refused = await run(`restore ${file}`, other);
    expect([refused.code, errorOf(refused.stderr).name]).to.deep.equal([1, 'already_initialised']);
    writeFileSync(join(other, 'alliance.yaml'), readFileSync(join(other, 'alliance.yaml'), 'utf8').concat('# mine\n'));
    const { stdout } = await run(`restore ${file} --force`, other);
    const { kept } = checked<{ kept: string }>('restore', JSON.parse(stdout));
    expect(readFileSync(join(kept, 'alliance.yaml'), 'utf8')).to.contain('# mine');
    expect(readFileSync(join(other, 'alliance.yaml'), 'utf8')).not.to.contain('# mine');
    expect(await fingerprint(other)).to.equal(await fingerprint(home));
  });

  it('refuses while a broker runs, whatever is said', async () => {
    const busy = directory.file('busy');
    mkdirSync(busy);
    writeFileSync(join(busy, 'broker.json'), JSON.stringify({ pid: process.pid, started_at: 0, addresses: {} }));
    for (const args of [`restore ${file}`, `restore ${file} --force`]) {
      const { code, stderr } = await run(args, busy);
      expect([code, errorOf(stderr).name]).to.deep.equal([1, 'already_initialised']);
      expect(stderr).to.contain(`pid ${process.pid}`);
    }
    expect(readdirSync(busy)).to.deep.equal(['broker.json']);
  });

  it('needs no key whose overlap has run out, though no broker wrote that down', async () => {
    const idle = await newHome('idle');
    const hourMs = 3_600_000;
    const clock = { now: () => Date.now() - hourMs };
    const installation = await openInstallation({ home: idle, env: {}, log: silentLogger, clock });
    await rotateIdentity(installation, { overlapMs: hourMs / 2 });
    await installation.close();
    const other = await backUpAndRestore(idle);
    expect(readdirSync(join(other, 'identities'))).to.have.length(1);
    expect(await fingerprint(other)).to.equal(await fingerprint(idle));
  });

  it('does not leave a key out that is needed: then there is no backup', async () => {
    const poor = await newHome('poor');
    rmSync(join(poor, 'key.pem'));
    const { code } = await run(`backup ${directory.file('poor.backup')}`, poor);
    expect([code, existsSync(directory.file('poor.backup'))]).to.deep.equal([1, false]);
  });

  it('changes the key-encryption key, where the old one was moved away', async () => {
    const at = await newHome('sealed');
    const [backup, kek] = [directory.file('sealed.backup'), join(at, 'kek')];
    const before = readFileSync(kek);
    expect((await run(`backup ${backup}`, at)).code).to.equal(0);
    renameSync(kek, directory.file('old.kek'));
    const { code, stderr } = await run(`restore ${backup} --force`, at);
    expect(code, stderr).to.equal(0);
    expect(readFileSync(kek)).not.to.deep.equal(before);
    expect((await run('partner invite', at)).code).to.equal(0);
  });

  it('finds its keys in another home, also where the configuration names the former one', async () => {
    const moved = await newHome('moved');
    const settings = { cloud_id: 'moved', identity: { key_file: join(moved, 'key.pem') } };
    writeFileSync(join(moved, 'alliance.yaml'), JSON.stringify(settings));
    const expected = await fingerprint(moved);
    const other = await backUpAndRestore(moved);
    rmSync(moved, { recursive: true });
    expect(await fingerprint(other)).to.equal(expected);
  });

  it('replaces no database elsewhere, unless it is told to', async () => {
    const elsewhere = await newHome('elsewhere');
    const settings = { cloud_id: 'elsewhere', database: { url: `sqlite:${join(elsewhere, 'alliance.db')}` } };
    writeFileSync(join(elsewhere, 'alliance.yaml'), JSON.stringify(settings));
    const backup = directory.file('elsewhere.backup');
    expect((await run(`backup ${backup}`, elsewhere)).code).to.equal(0);
    const { ino } = statSync(join(elsewhere, 'alliance.db'));
    const { code, stderr } = await run(`restore ${backup}`, directory.file('beside'));
    expect([code, errorOf(stderr).name]).to.deep.equal([1, 'already_initialised']);
    expect(statSync(join(elsewhere, 'alliance.db')).ino).to.equal(ino);
  });

  it('takes any names of files, and one file for key and certificate', async () => {
    const odd = await newHome('odd');
    const both = ['key.pem', 'certificate.pem'].map((name) => readFileSync(join(odd, name), 'utf8')).join('');
    mkdirSync(join(odd, 'keys..of us'));
    writeFileSync(join(odd, 'keys..of us', 'mein Schlüssel@rx.pem'), both, { mode: 0o600 });
    for (const name of ['key.pem', 'certificate.pem']) rmSync(join(odd, name));
    const settings = (name: string) =>
      JSON.stringify({ cloud_id: 'odd', identity: { key_file: name, certificate_file: name } });
    writeFileSync(join(odd, 'alliance.yaml'), settings('keys..of us/mein Schlüssel@rx.pem'));
    const expected = await fingerprint(odd);
    expect(await fingerprint(await backUpAndRestore(odd))).to.equal(expected);

    renameSync(join(odd, 'keys..of us', 'mein Schlüssel@rx.pem'), join(odd, 'a\x07b'));
    writeFileSync(join(odd, 'alliance.yaml'), settings('a\x07b'));
    const { code, stderr } = await run(`backup ${directory.file('bell.backup')}`, odd);
    expect([code, errorOf(stderr).name]).to.deep.equal([1, 'configuration']);
    expect(existsSync(directory.file('bell.backup'))).to.equal(false);
  });

  it('touches nothing beside the backup, and clears away what killed commands left', async () => {
    const { pid } = spawnSync('true');
    const parent = directory.file('backups');
    const stale = [join(parent, `.alliance-staging-${pid}-AbCdEf`), join(home, `.alliance-staging-${pid}-AbCdEf`)];
    for (const each of [parent, ...stale]) mkdirSync(each);
    const busy = `.alliance-staging-${process.ppid}-AbCdEf`;
    for (const name of ['b1.database', 'b1.partial', busy]) writeFileSync(join(parent, name), 'mine');
    const { code, stderr } = await run(`backup ${join(parent, 'b1')}`, home);
    expect(code, stderr).to.equal(0);
    expect(readdirSync(parent).sort()).to.deep.equal([busy, 'b1', 'b1.database', 'b1.partial']);
    for (const name of ['b1.database', 'b1.partial']) expect(readFileSync(join(parent, name), 'utf8')).to.equal('mine');
    expect(readdirSync(home).filter((name) => name.startsWith('.alliance'))).to.deep.equal([]);
  });

  describe('partners after a restore:', () => {
    let cloud: string;
    const backup = directory.file('partners.backup');
    const states = async (at: string) => {
      const { partners } = JSON.parse((await run('partner list', at)).stdout) as { partners: Record<string, string>[] };
      return Object.fromEntries(partners.map(({ cloud_id: id, state }) => [id, state]));
    };
    const restored = async (at: string) => {
      const { stdout, stderr } = await run(`restore ${backup} --force`, at);
      expect(stderr).to.equal('');
      return checked<Record<'partners' | 'changed' | 'replaced_database', unknown>>('restore', JSON.parse(stdout));
    };

    before(async () => {
      cloud = await newHome('partners');
      const installation = await openInstallation({ home: cloud, env: {}, log: silentLogger });
      const { partners } = installation.store;
      const names = ['active', 'gone', 'removed', 'revoked', 'suspended'];
      const uids = new Map<string, PartnerUid>();
      for (const name of names) uids.set(name, (await partners.add(newPartner(name))).uid);
      expect((await run(`backup ${backup}`, cloud)).code).to.equal(0);
      await partners.apply(uids.get('revoked')!, 'revoke', { by: 'partner' });
      await partners.apply(uids.get('suspended')!, 'suspend');
      await partners.remove(uids.get('removed')!);
      await partners.remove(uids.get('gone')!, { notify: false });
      await partners.add(newPartner('later'));
      await installation.close();
    });

    it('where there was no database, all are as in the backup, which is told', async () => {
      const fresh = directory.file('fresh');
      const { partners, changed, replaced_database: replaced } = await restored(fresh);
      const names = ['active', 'gone', 'removed', 'revoked', 'suspended'];
      expect(partners).to.deep.equal(names.map((name) => ({ cloud_id: name, name, state: 'active' })));
      expect([changed, replaced]).to.deep.equal([[], 'none']);
    });

    it('ends of trust that the replaced database knows of stay', async () => {
      const { partners, changed, replaced_database: replaced } = await restored(cloud);
      const now = { active: 'active', revoked: 'revoked', suspended: 'suspended' };
      expect(partners).to.deep.equal(Object.entries(now).map(([name, state]) => ({ cloud_id: name, name, state })));
      expect(changed).to.have.deep.members([
        { cloud_id: 'gone', to: 'removed' },
        { cloud_id: 'removed', to: 'removed' },
        { cloud_id: 'revoked', to: 'revoked' },
        { cloud_id: 'suspended', to: 'suspended' },
      ]);
      expect(replaced).to.equal('read');
      expect(await states(cloud)).to.deep.equal(now);
      const { stdout } = await runCommand(['restore', backup, '--force'], { home: cloud });
      expect(stdout).to.contain('revoked stays revoked').and.contain('active: active');
    });

    it('where the replaced database cannot be read, they are suspended', async () => {
      writeFileSync(join(cloud, 'alliance.db'), 'no database');
      const { stdout } = await runCommand(['restore', backup, '--force'], { home: cloud });
      expect(stdout).to.contain('alliance partner resume P');
      expect(new Set(Object.values(await states(cloud)))).to.deep.equal(new Set(['suspended']));
      expect((await run('partner resume active', cloud)).code).to.equal(0);
    });
  });

  it('mappings and projects stay as they are in the replaced database', async () => {
    const at = await newHome('grants');
    const backup = directory.file('grants.backup');
    const rules = (name: string) => JSON.stringify({ rules: [{ remote: [], local: [{ user: { name } }] }] });
    const installation = await openInstallation({ home: at, env: {}, log: silentLogger });
    const { partners, mappings, provisions } = installation.store;
    const [same, changed, withdrawn] = [
      await partners.add(newPartner('same')),
      await partners.add(newPartner('changed')),
      await partners.add(newPartner('withdrawn')),
    ];
    for (const { uid } of [same, changed, withdrawn]) await mappings.set(uid, rules('old'));
    const reserve = (requestId: string) => {
      const asked = { name: requestId, userId: null, roles: null, expiresAt: null };
      const request = { direction: 'in', requestId, asked, roles: ['member'], domainId: 'd', expiresAt: null } as const;
      return provisions.reserve(same, request, 9);
    };
    const make = async (requestId: string) => {
      const { id } = await reserve(requestId);
      await provisions.activate(id, { projectId: `p-${requestId}`, domainId: 'd' });
      return id;
    };
    await make('untouched');
    const taken = await make('taken');
    const gone = await make('gone');
    await reserve('finished');
    expect((await run(`backup ${backup}`, at)).code).to.equal(0);

    await mappings.set(changed.uid, rules('new'));
    await mappings.set(withdrawn.uid, null);
    await make('finished');
    await make('made-since');
    await provisions.beginRemoval(taken, 'partner');
    await provisions.beginRemoval(gone, 'partner');
    await provisions.endRemoval(gone);
    const before = await provisions.list();
    await installation.close();

    const { stdout } = await run(`restore ${backup} --force`, at);
    const told = checked<{ mappings: object[]; projects: { name: string }[] }>('restore', JSON.parse(stdout));
    expect(told.mappings).to.have.deep.members([
      { cloud_id: 'changed', mapping: 'set' },
      { cloud_id: 'withdrawn', mapping: 'none' },
    ]);
    expect(told.projects.map(({ name }) => name).sort()).to.deep.equal(['finished', 'made-since', 'taken']);
    const after = await openInstallation({ home: at, env: {}, log: silentLogger });
    const { store } = after;
    expect((await store.mappings.get(same.uid))?.rules).to.equal(rules('old'));
    expect((await store.mappings.get(changed.uid))?.rules).to.equal(rules('new'));
    expect(await store.mappings.get(withdrawn.uid)).to.equal(null);
    expect(await store.provisions.list()).to.deep.equal(before);
    await store.mappings.set(withdrawn.uid, rules('again'));
    await after.close();

    const human = (await runCommand(['restore', backup, '--force'], { home: at })).stdout;
    expect(human)
      .to.contain('The mapping of changed is that of the replaced database')
      .and.contain('The mapping of withdrawn is that of the replaced database')
      .and.contain('Project made-since, made for same, is active, as in the replaced database.');
  });

  it('a replaced database of a version without mappings and projects takes none away', async () => {
    const at = await newHome('ancient');
    const backup = directory.file('ancient.backup');
    const installation = await openInstallation({ home: at, env: {}, log: silentLogger });
    const { uid } = await installation.store.partners.add(newPartner('west'));
    await installation.store.mappings.set(uid, '{}');
    await installation.close();
    expect((await run(`backup ${backup}`, at)).code).to.equal(0);
    const database = new Sqlite(join(at, 'alliance.db'));
    database.exec('drop table mappings; drop table provisions; delete from schema_version where version > 1');
    database.close();
    const { stdout } = await run(`restore ${backup} --force`, at);
    expect(JSON.parse(stdout)).to.deep.include({ replaced_database: 'read', changed: [], mappings: [], projects: [] });
    expect((await run('mapping show --partner west', at)).code).to.equal(0);
  });

  it('keys from outside of the home come back, secrets of the operator need not be there', async () => {
    const outside = directory.file('outside');
    mkdirSync(outside);
    const home2 = directory.file('south');
    expect((await run('init --cloud-id south', home2)).code).to.equal(0);
    for (const name of ['key.pem', 'certificate.pem', 'kek']) renameSync(join(home2, name), join(outside, name));
    writeFileSync(join(outside, 'secret'), 'x');
    const settings = {
      cloud_id: 'south',
      identity: { key_file: join(outside, 'key.pem'), certificate_file: join(outside, 'certificate.pem') },
      keystone: { auth_url: 'http://127.0.0.1:1/v3', username: 'u', project_name: 'p', password_file: 'secret' },
      database: { kek_file: join(outside, 'kek') },
    };
    writeFileSync(join(home2, 'alliance.yaml'), JSON.stringify(settings));
    copyFileSync(join(outside, 'secret'), join(home2, 'secret'));
    const backup = directory.file('south.backup');
    const made = await run(`backup ${backup}`, home2);
    expect(checked<{ left_out: string[] }>('backup', JSON.parse(made.stdout)).left_out).to.deep.equal([
      join(home2, 'secret'),
    ]);
    const other = directory.file('south-again');
    renameSync(join(outside, 'key.pem'), join(outside, 'lost.pem'));
    const { code, stderr } = await run(`restore ${backup}`, other, {
      ALLIANCE_KEYSTONE__PASSWORD_FILE: '/nonexistent',
    });
    expect(code, stderr).to.equal(0);
    writeFileSync(join(other, 'secret'), 'x');
    expect(await fingerprint(other)).to.match(/^SHA256:/);
  });

  describe('a damaged backup changes nothing:', () => {
    const damages: readonly (readonly [name: string, damage: (bytes: Buffer) => Buffer])[] = [
      ['cut short', (bytes) => bytes.subarray(0, -100)],
      ['cut in its list', (bytes) => bytes.subarray(0, 120)],
      ['longer', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
      ['a bit of the database', (bytes) => flipped(bytes, Math.floor(bytes.length / 2))],
      ['a bit of the list', (bytes) => flipped(bytes, 120)],
      ['another file', () => Buffer.from('not a backup')],
      ['empty', () => Buffer.alloc(0)],
      ['a list of nothing', (bytes) => withList(bytes, () => [])],
      ['a way out', (bytes) => withList(bytes, (files) => files.map((one) => ({ ...one, path: `../${one.path}` })))],
      [
        'an absolute path',
        (bytes) => withList(bytes, (files) => files.map((one) => ({ ...one, path: `/${one.path}` }))),
      ],
    ];
    for (const [name, damage] of damages)
      it(name, async () => {
        const damaged = directory.file('damaged.backup');
        writeFileSync(damaged, damage(readFileSync(file)));
        const target = directory.file('untouched');
        const { code, stdout, stderr } = await run(`restore ${damaged}`, target);
        expect([code, stdout, errorOf(stderr).name], stderr).to.deep.equal([1, '', 'database_corrupt']);
        expect(readdirSync(target)).to.deep.equal([]);
      });
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

type Files = { path: string }[];

/** The same backup with another list of files, and the right checksum over it. */
function withList(bytes: Buffer, change: (files: Files) => Files): Buffer {
  const [first, second] = [bytes.indexOf('\n'), bytes.indexOf('\n', bytes.indexOf('\n') + 1)];
  const manifest = JSON.parse(bytes.toString('utf8', first + 1, second)) as { files: Files };
  const text = JSON.stringify({ ...manifest, files: change(manifest.files) });
  const sum = createHash('sha256').update(text).digest('hex');
  const content =
    change([]).length === 0 && change(manifest.files).length === 0 ? Buffer.alloc(0) : bytes.subarray(second + 1);
  return Buffer.concat([Buffer.from(`alliance-backup 1 ${sum}\n${text}\n`), content]);
}
