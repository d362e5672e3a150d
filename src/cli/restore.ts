/** Puts a backup in place: unpacked and checked beside the home's files first, then moved by renames. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { loadConfig } from '../core/config.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { createKeyringFile, loadKeyring } from '../crypto/keyring.ts';
import { checkDatabaseFile } from '../model/database.ts';
import { openStore } from '../model/store.ts';
import { type Manifest, unpackBackup } from './backupFile.ts';
import { findBroker } from './brokerFile.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface RestoreOptions {
  readonly file: string;
  /** Absolute. */
  readonly home: string;
  readonly env: Environment;
  readonly force: boolean;
}

interface Restored {
  readonly manifest: Manifest;
  /** Where what had been in the home directory was put. */
  readonly kept: string | null;
}

interface Move {
  readonly from: string;
  readonly to: string;
}

/** Throws `already_initialised`, `database_corrupt`, `database_newer`, `configuration`; then nothing has changed. */
export async function restoreHome({ file, home, env, force }: RestoreOptions): Promise<Restored> {
  if (!force) refuseInUse(home);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const staging = mkdtempSync(join(home, '.restore-'));
  try {
    const manifest = unpack(file, staging);
    const config = loadConfig({ home: staging, env: withoutSecretFiles(env) });
    const atHome = (path: string): string => {
      const inside = relative(staging, path);
      return inside.startsWith('..') ? path : join(home, inside);
    };
    const database = { from: join(staging, 'alliance.db'), to: atHome(config.database.url.replace(/^sqlite:/, '')) };
    const kek = { from: join(staging, 'kek'), to: atHome(config.database.kekFile) };
    const kekStays = !existsSync(kek.from) && existsSync(kek.to);
    if (!kekStays && !existsSync(kek.from)) createKeyringFile(kek.from);
    checkDatabaseFile(database.from);
    await startAnew(database.from, kekStays ? kek.to : kek.from);

    const others = manifest.files.map(({ path }) => path).filter((path) => path !== 'alliance.db' && path !== 'kek');
    const moves: Move[] = [
      database,
      ...(kekStays ? [] : [kek]),
      ...others.map((path) => ({ from: join(staging, path), to: join(home, path) })),
    ];
    const kept = keepOld(home, [...moves.map(({ to }) => to), `${database.to}-wal`, `${database.to}-shm`]);
    for (const each of moves) move(each);
    return { manifest, kept };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function refuseInUse(home: string): void {
  const { found, alive } = findBroker(home);
  const inUse = (details: string) => new AllianceError('already_initialised', { details });
  if (alive) throw inUse(`A broker runs on ${home} (pid ${found?.pid}): stop it first, or say --force.`);
  if (['alliance.yaml', 'alliance.db'].some((name) => existsSync(join(home, name))))
    throw inUse(`${home} holds data; --force replaces it, and keeps what was there.`);
}

function unpack(file: string, staging: string): Manifest {
  const manifest = unpackBackup(file, staging);
  for (const needed of ['alliance.db', 'alliance.yaml'])
    if (!manifest.files.some(({ path }) => path === needed))
      throw new AllianceError('database_corrupt', { details: `${file} has no ${needed}.` });
  return manifest;
}

/**
 * The environment, but for secrets in files: the operator keeps those himself, and may bring them back after the restore. Stand-ins
 * make the configuration complete.
 */
function withoutSecretFiles(env: Environment): Environment {
  const names = ['IDENTITY__PASSPHRASE', 'KEYSTONE__PASSWORD', 'KEYSTONE__APPLICATION_CREDENTIAL_SECRET'];
  const standIns = names.flatMap((name) => [
    [`ALLIANCE_${name}`, '-'],
    [`ALLIANCE_${name}_FILE`, undefined],
  ]);
  return { ...env, ...Object.fromEntries(standIns) };
}

/** Drops what was secret and short-lived when the backup was made, and seals the rest by this keyring. */
async function startAnew(database: string, kekFile: string): Promise<void> {
  const store = await openStore({ url: `sqlite:${database}`, keyring: loadKeyring(kekFile), restored: true });
  await store.close();
}

/** Nothing is overwritten: what is there goes to a directory of its own. */
function keepOld(home: string, paths: readonly string[]): string | null {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0) return null;
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const kept = mkdtempSync(join(home, `before-restore-${time}-`));
  for (const path of present) {
    const inside = relative(home, path);
    move({ from: path, to: join(kept, inside.startsWith('..') ? basename(path) : inside) });
  }
  return kept;
}

/** A rename, or a copy where the other place is on another file system. */
function move({ from, to }: Move): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw error;
    copyFileSync(from, `${to}.partial`);
    renameSync(`${to}.partial`, to);
    rmSync(from);
  }
}
