/** `alliance backup`, `alliance restore` */
import { existsSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { configPath, rotatedKeyPath } from '../broker/files.ts';
import type { Installation } from '../broker/installation.ts';
import type { Config } from '../core/config.ts';
import { type PackedFile, writeBackup } from './backupFile.ts';
import type { Cli } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { whileWaiting } from './progress.ts';
import { restoreHome } from './restore.ts';
import { formatFacts } from './text.ts';
import { packageVersion } from './version.ts';

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
agree on new sessions by themselves. With --force, what was in the home directory is kept in before-restore-TIME.`,
    examples: ['restore /var/backups/alliance-east.backup', '--home /srv/alliance restore east.backup --force'],
  })
    .option('--force', 'also where there is data, or a broker seems to run')
    .action((file: string, { force }: { force?: boolean }) =>
      finish(cli, runRestore(cli, resolve(file), force ?? false)),
    );
}

/** What belongs to the home directory, by its path in there. */
function filesOf({ home, config, view }: Installation, databaseCopy: string): PackedFile[] {
  const inHome = (path: string): boolean => !relative(home, path).startsWith('..') && path.startsWith(home);
  const named = (path: string): PackedFile => ({ path: relative(home, path), source: path });
  const { certificateFile, keyFile } = config.identity;
  // A key from elsewhere goes to where a rotated one would be, which is looked at first.
  const keys = view.identities.map(({ identity: { fingerprint } }): PackedFile => {
    const rotated = rotatedKeyPath(home, fingerprint);
    if (existsSync(rotated)) return named(rotated);
    return inHome(keyFile) ? named(keyFile) : { path: relative(home, rotated), source: keyFile };
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
  const copy = `${file}.database`;
  try {
    const manifest = await whileWaiting(cli, 'Copying the database ...', async () => {
      await store.backup(copy);
      const kek = withKek ? [{ path: 'kek', source: config.database.kekFile }] : [];
      const facts = {
        cloud_id: view.cloudId,
        created_at: new Date(clock.now()).toISOString(),
        version: packageVersion(),
      };
      return writeBackup(file, facts, [...filesOf(installation, copy), ...kek]);
    });
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
    rmSync(copy, { force: true });
  }
}

async function runRestore(cli: Cli, file: string, force: boolean): Promise<undefined> {
  if (!existsSync(file) || !statSync(file).isFile()) throw usageError(`There is no file ${file}.`, 'file');
  const home = resolve(cli.home);
  const { manifest, kept } = await whileWaiting(cli, 'Checking the backup ...', () =>
    restoreHome({ file, home, env: cli.env, force }),
  );
  const value = {
    home,
    cloud_id: manifest.cloud_id,
    created_at: manifest.created_at,
    files: manifest.files.map(({ path }) => path),
    kept,
  };
  cli.print(value, [
    ...formatFacts([
      ['home', home],
      ['cloud_id', manifest.cloud_id],
      ['backup of', manifest.created_at],
      ['files', value.files],
      ...(kept === null ? [] : [['kept', join(kept, '')] as const]),
    ]),
    '',
    'Sessions and open invitations were dropped. Next: alliance config check, alliance serve',
  ]);
  return undefined;
}
