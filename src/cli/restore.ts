/** Puts a backup in place: unpacked and checked beside the home's files first, then moved by renames. */
import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { makeHome } from '../broker/init.ts';
import { systemClock } from '../core/clock.ts';
import { loadConfig } from '../core/config.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { giveToOwner, makeDirectory } from '../core/wholeFile.ts';
import { createKeyringFile, loadKeyring } from '../crypto/keyring.ts';
import { type CarryOver, carryOver } from '../model/carryOver.ts';
import { checkDatabaseFile } from '../model/database.ts';
import type { Partner } from '../model/partner.ts';
import { openStore } from '../model/store.ts';
import { type Manifest, unpackBackup } from './backupFile.ts';
import { findBroker } from './brokerFile.ts';
import { openStaging } from './staging.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface RestoreOptions {
  readonly file: string;
  /** Absolute. */
  readonly home: string;
  readonly env: Environment;
  readonly force: boolean;
}

/** With what was carried over from the database that is replaced. */
interface RestoredTrust extends Omit<CarryOver, 'readable'> {
  readonly partners: readonly Partner[];
  /** Whether there was a database before, that says who is trusted no more. */
  readonly replaced: 'none' | 'read' | 'unreadable';
}

interface Restored extends RestoredTrust {
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
  refuseRunning(home);
  if (!force) refuseData(join(home, 'alliance.yaml'), join(home, 'alliance.db'));
  makeHome(home);
  const staging = openStaging(home);
  try {
    const manifest = unpack(file, staging);
    const config = loadConfig({ home: staging, env: withoutSecretFiles(env) });
    const atHome = (path: string): string => {
      const inside = relative(staging, path);
      return inside.startsWith('..') ? path : join(home, inside);
    };
    const database = { from: join(staging, 'alliance.db'), to: atHome(config.database.url.replace(/^sqlite:/, '')) };
    // It may lie elsewhere, as another home's does that the backup was made of.
    if (!force) refuseData(database.to);
    const kek = { from: join(staging, 'kek'), to: atHome(config.database.kekFile) };
    const kekStays = !existsSync(kek.from) && existsSync(kek.to);
    if (!kekStays && !existsSync(kek.from)) createKeyringFile(kek.from);
    checkDatabaseFile(database.from);
    const trust = await startAnew(database, kekStays ? kek.to : kek.from);

    const others = manifest.files.map(({ path }) => path).filter((path) => path !== 'alliance.db' && path !== 'kek');
    const moves: Move[] = [
      database,
      ...(kekStays ? [] : [kek]),
      ...others.map((path) => ({ from: join(staging, path), to: join(home, path) })),
    ];
    // The check has taken its time, in which somebody may have started one.
    refuseRunning(home);
    const kept = keepOld(home, [...moves.map(({ to }) => to), `${database.to}-wal`, `${database.to}-shm`]);
    for (const each of moves) {
      move(each);
      giveToOwner(each.to, home);
    }
    return { manifest, kept, ...trust };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** It would go on with the files that were moved away, and neither it nor the next one would know what the other does. */
function refuseRunning(home: string): void {
  const { found, alive } = findBroker(home);
  if (!alive) return;
  throw new AllianceError('already_initialised', {
    details: `A broker runs on ${home} (pid ${found?.pid}).`,
    remedy: `Stop it first. Should process ${found?.pid} be none, remove ${join(home, 'broker.json')}.`,
  });
}

function refuseData(...paths: string[]): void {
  const present = paths.find((path) => existsSync(path));
  if (present !== undefined)
    throw new AllianceError('already_initialised', {
      details: `${present} is there; --force replaces it, and keeps what was there.`,
    });
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

/**
 * Drops what was secret and short-lived when the backup was made, seals the rest by this keyring, and carries over what the database
 * that is replaced knows of ends of trust, mappings and projects.
 */
async function startAnew({ from, to }: Move, kekFile: string): Promise<RestoredTrust> {
  const store = await openStore({ url: `sqlite:${from}`, keyring: loadKeyring(kekFile), restored: true });
  try {
    const carried = existsSync(to) ? await carryOver(store, to, systemClock.now()) : undefined;
    const { changed = new Map(), mappings = new Map(), projects = [] } = carried ?? {};
    return {
      partners: await store.partners.list(),
      replaced: carried === undefined ? 'none' : carried.readable ? 'read' : 'unreadable',
      changed,
      mappings,
      projects,
    };
  } finally {
    await store.close();
  }
}

/** Nothing is overwritten: what is there goes to a directory of its own. */
function keepOld(home: string, paths: readonly string[]): string | null {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0) return null;
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const kept = mkdtempSync(join(home, `before-restore-${time}-`));
  giveToOwner(kept);
  for (const path of present) {
    const inside = relative(home, path);
    move({ from: path, to: join(kept, inside.startsWith('..') ? basename(path) : inside) });
  }
  return kept;
}

/** A rename, or a copy where the other place is on another file system. */
function move({ from, to }: Move): void {
  makeDirectory(dirname(to));
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw error;
    copyFileSync(from, `${to}.partial`);
    renameSync(`${to}.partial`, to);
    rmSync(from);
  }
}
