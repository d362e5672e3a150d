/** `alliance backup`, `alliance restore` */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { configPath, keyFileOf, loadOwnIdentity, rotatedKeyPath, usableRecords } from '../broker/files.ts';
import type { Installation } from '../broker/installation.ts';
import type { Config } from '../core/config.ts';
import { packageVersion } from '../core/version.ts';
import { readDatabaseFile } from '../model/databaseFile.ts';
import { listIdentities } from '../model/identityRecords.ts';
import { type PackedFile, writeBackup } from './backupFile.ts';
import { type Cli, shown } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { whileWaiting } from './progress.ts';
import { viewProvision } from './provision.ts';
import { restoreHome } from './restore.ts';
import { openStaging, removeStaleStaging } from './staging.ts';
import { formatFacts, printable } from './text.ts';

export function addBackup(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'backup <file>',
    summary: 'write database, configuration, keys and certificates to one file, also while the broker runs',
    more: `The file holds private keys. The key-encryption key is left out unless asked for; without it what the database
keeps sealed (sessions, open invitations) cannot be read, and a restore drops that anyway.`,
    examples: ['backup /var/backups/alliance-east.backup', 'backup east.backup --with-kek'],
  })
    .option('--with-kek', 'put the key-encryption key in, too')
    .action((file: string, { withKek }: { withKek?: boolean }) =>
      finish(
        cli,
        cli.open((installation) => runBackup(cli, installation, resolve(file), withKek ?? false)),
      ),
    );

  addCommand(program, {
    usage: 'restore <file>',
    summary: 'bring back what a backup holds, into a home directory that is not in use',
    more: `The backup is checked from end to end before anything is changed. Sessions and open invitations are dropped: partners
agree on new sessions by themselves. With --force, what was in the home directory is kept in before-restore-TIME, and
partners that are revoked, removed or suspended there stay so; mappings and projects of partners stay as they are there.
A running broker has to be stopped first.`,
    examples: ['restore /var/backups/alliance-east.backup', '--home /srv/alliance restore east.backup --force'],
  })
    .option('--force', 'also where there is data')
    .action((file: string, { force }: { force?: boolean }) =>
      finish(cli, runRestore(cli, resolve(file), force ?? false)),
    );
}

/** What belongs to the home directory, by its path in there. `configuration` when a key that the copy of the database needs is missing. */
async function filesOf({ home, config, clock }: Installation, databaseCopy: string): Promise<PackedFile[]> {
  const inHome = (path: string): boolean => !relative(home, path).startsWith('..') && path.startsWith(home);
  const named = (path: string): PackedFile => ({ path: relative(home, path), source: path });
  const { certificateFile } = config.identity;
  // Those of the copy, as a rotation may have come between it and what was read before.
  const records = usableRecords(await readDatabaseFile(databaseCopy, listIdentities), clock.now());
  const keys = records.map((record): PackedFile => {
    loadOwnIdentity(config, record);
    // To where a rotated one would be, which is looked at first: the configured path may lead out of the home of the restore.
    return { path: relative(home, rotatedKeyPath(home, record.fingerprint)), source: keyFileOf(config, record) };
  });
  return [
    { path: 'alliance.db', source: databaseCopy },
    named(configPath(home)),
    ...keys,
    ...(inHome(certificateFile) && existsSync(certificateFile) ? [named(certificateFile)] : []),
  ];
}

/** Files that the configuration names and the operator keeps himself. */
function leftOut({ identity, keystone }: Config): string[] {
  return [identity.passphraseFile, keystone.passwordFile, keystone.applicationCredentialSecretFile, keystone.cacert]
    .filter((path) => path !== undefined)
    .filter((path) => existsSync(path));
}

async function runBackup(cli: Cli, installation: Installation, file: string, withKek: boolean): Promise<undefined> {
  const { store, config, view, clock } = installation;
  if (existsSync(file)) throw usageError(`${file} exists already.`, 'file');
  removeStaleStaging(installation.home);
  const staging = openStaging(dirname(file));
  const copy = join(staging, 'alliance.db');
  const whole = join(staging, 'backup');
  try {
    const manifest = await whileWaiting(cli, 'Copying the database ...', async () => {
      await store.backup(copy);
      const kek = withKek ? [{ path: 'kek', source: config.database.kekFile }] : [];
      const facts = {
        cloud_id: view.cloudId,
        created_at: new Date(clock.now()).toISOString(),
        version: packageVersion(),
      };
      return writeBackup(whole, facts, [...(await filesOf(installation, copy)), ...kek]);
    });
    renameSync(whole, file);
    const others = leftOut(config);
    const value = { file, ...manifest, with_kek: withKek, left_out: others };
    cli.print(
      value,
      formatFacts([
        ['backup', file],
        ['files', manifest.files.map(({ path, size }) => `${path} (${size} bytes)`)],
        ...(others.length === 0 ? [] : [['not in it', others] as const]),
      ]),
    );
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

async function runRestore(cli: Cli, file: string, force: boolean): Promise<undefined> {
  if (!existsSync(file) || !statSync(file).isFile()) throw usageError(`There is no file ${file}.`, 'file');
  const home = resolve(cli.home);
  const { manifest, kept, partners, replaced, changed, mappings, projects } = await whileWaiting(
    cli,
    'Checking the backup ...',
    () => restoreHome({ file, home, env: cli.env, force }),
  );
  const present = projects.filter(({ state }) => state !== 'removed');
  const value = {
    home,
    cloud_id: manifest.cloud_id,
    created_at: manifest.created_at,
    files: manifest.files.map(({ path }) => path),
    kept,
    partners: partners.map(({ cloudId, name, state }) => ({ cloud_id: cloudId, name, state })),
    replaced_database: replaced,
    changed: [...changed].map(([id, to]) => ({ cloud_id: id, to })),
    mappings: [...mappings].map(([id, mapping]) => ({ cloud_id: id, mapping })),
    projects: present.map(viewProvision),
  };
  cli.print(value, [
    ...formatFacts([
      ['home', home],
      ['cloud_id', manifest.cloud_id],
      ['backup of', manifest.created_at],
      ['files', value.files],
      ...(kept === null ? [] : [['kept', join(kept, '')] as const]),
      ['partners', partners.length === 0 ? 'none' : partners.map((one) => `${shown(one)}: ${one.state}`)],
    ]),
    '',
    ...(replaced === 'unreadable'
      ? [
          'The replaced database cannot be read: who was active is suspended now. Whom you did not revoke since: look at its mapping (alliance mapping show --partner P), then alliance partner resume P',
        ]
      : [...changed].map(([id, to]) => `${id} stays ${to}, as in the replaced database.`)),
    ...[...mappings].map(([id, mapping]) =>
      mapping === 'set'
        ? `The mapping of ${id} is that of the replaced database, not the one of the backup.`
        : `${id} has no mapping, as in the replaced database: the one of the backup was dropped.`,
    ),
    ...present.map(
      ({ cloudId, direction, asked, state }) =>
        `Project ${printable(asked.name)}, made ${direction === 'in' ? 'for' : 'by'} ${cloudId}, is ${state}, as in the replaced database.`,
    ),
    ...(replaced === 'none' && partners.length > 0
      ? [
          'Whom you revoked or removed after the backup was made is trusted again, and mappings are as they were then: revoke them anew.',
        ]
      : []),
    'Sessions and open invitations were dropped. Next: alliance config check, alliance serve',
  ]);
  return undefined;
}
