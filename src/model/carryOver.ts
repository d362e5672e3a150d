/** What a restore must not undo: what the replaced database knows of and the backup does not. */
import type { Kysely } from 'kysely';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { readDatabaseFile } from './databaseFile.ts';
import type { Partner } from './partner.ts';
import type { Provision } from './provision.ts';
import { toProvision } from './provisionRows.ts';
import type { Store } from './store.ts';
import type { PartnerRow, Tables } from './tables.ts';
import { effectiveState } from './trust.ts';

export type CarriedOver = 'revoked' | 'removed' | 'suspended';

type FormerPartner = Pick<PartnerRow, 'uid' | 'state' | 'revoked_by' | 'removed' | 'notice_pending'>;

interface Former {
  readonly partners: ReadonlyMap<PartnerUid, FormerPartner>;
  /** Keys of removed partners, hexadecimal; those of present ones, and whose they are. */
  readonly buried: ReadonlySet<string>;
  readonly present: ReadonlyMap<string, PartnerUid>;
  /** Null: it is of a version that has none. */
  readonly mappings: ReadonlyMap<PartnerUid, string> | null;
  readonly provisions: readonly Provision[];
}

export interface CarryOver {
  /** False: nothing is known of the replaced database. */
  readonly readable: boolean;
  /** What became of partners, by cloud_id. */
  readonly changed: ReadonlyMap<CloudId, CarriedOver>;
  /** Mappings that differed from those of the backup: whether there is one now. */
  readonly mappings: ReadonlyMap<CloudId, 'set' | 'none'>;
  /** Projects that the backup did not know, or not as they are. */
  readonly projects: readonly Provision[];
}

/**
 * Partners that `replaced`, the file of a database, does not trust any more end in `store` as they ended there; mappings and projects
 * are as they were there. Where it cannot be read, every active partner is suspended.
 */
export async function carryOver(store: Store, replaced: string, now: number): Promise<CarryOver> {
  const former = await readDatabaseFile(replaced, readFormer).catch(() => undefined);
  const changed = await carryOverEnds(store, former, now);
  const mappings = former ? await carryOverMappings(store, former) : new Map();
  const projects = await store.provisions.putBack(former?.provisions ?? []);
  return { readable: former !== undefined, changed, mappings, projects };
}

async function carryOverEnds(
  store: Store,
  former: Former | undefined,
  now: number,
): Promise<Map<CloudId, CarriedOver>> {
  const changed = new Map<CloudId, CarriedOver>();
  for (const partner of await store.partners.list()) {
    const end = former ? endOf(partner, former) : 'suspended';
    if (end === undefined || !(await apply(store, partner, end, { former, now }))) continue;
    changed.set(partner.cloudId, end);
  }
  return changed;
}

/** Only of partners that the replaced database knows: of others it cannot say that a mapping was withdrawn. */
async function carryOverMappings(store: Store, former: Former): Promise<Map<CloudId, 'set' | 'none'>> {
  const changed = new Map<CloudId, 'set' | 'none'>();
  for (const partner of await store.partners.list()) {
    const again = keysOf(partner).map((key) => former.present.get(key));
    const uid = former.partners.has(partner.uid) ? partner.uid : again.find((each) => each !== undefined);
    if (uid === undefined || former.mappings === null) continue;
    const rules = former.mappings.get(uid) ?? null;
    if (rules === ((await store.mappings.get(partner.uid))?.rules ?? null)) continue;
    await store.mappings.set(partner.uid, rules);
    changed.set(partner.cloudId, rules === null ? 'none' : 'set');
  }
  return changed;
}

const keysOf = ({ keys }: Partner): string[] => keys.map(({ fingerprint }) => fingerprint.toString('hex'));

/** Columns by name, and few of them: the replaced database may be of another version. */
async function readFormer(reader: Kysely<Tables>): Promise<Former> {
  const columns = ['uid', 'state', 'revoked_by', 'removed', 'notice_pending'] as const;
  const rows = await reader.selectFrom('partners').select(columns).execute();
  const tombstones = await reader.selectFrom('tombstones').select('fingerprint').execute();
  const keys = await reader.selectFrom('partner_keys').select(['fingerprint', 'partner_uid']).execute();
  const partners = new Map(rows.map((row) => [row.uid, row]));
  const hex = ({ fingerprint }: { fingerprint: Buffer }) => fingerprint.toString('hex');
  const present = keys
    .filter(({ partner_uid }) => partners.get(partner_uid)?.removed === 0)
    .map((key) => [hex(key), key.partner_uid] as const);
  const trust = { partners, buried: new Set(tombstones.map(hex)), present: new Map(present) };
  return { ...trust, ...(await readGrants(reader)) };
}

/** The replaced database may be older than the tables of mappings (2) and of projects (4). */
async function readGrants(reader: Kysely<Tables>): Promise<Pick<Former, 'mappings' | 'provisions'>> {
  const versions = await reader.selectFrom('schema_version').select('version').execute();
  const version = Math.max(...versions.map((row) => row.version));
  const mappings = version < 2 ? null : await reader.selectFrom('mappings').select(['partner_uid', 'rules']).execute();
  const provisions = version < 4 ? [] : await reader.selectFrom('provisions').selectAll().execute();
  return {
    mappings: mappings && new Map(mappings.map(({ partner_uid, rules }) => [partner_uid, rules])),
    provisions: provisions.map(toProvision),
  };
}

function endOf(partner: Partner, { partners, buried, present }: Former): CarriedOver | undefined {
  const row = partners.get(partner.uid);
  if (row) {
    if (row.removed === 1) return 'removed';
    return row.state === 'revoked' || row.state === 'suspended' ? row.state : undefined;
  }
  // Removed, and its row gone since; unless it came back with the same key, or the replaced database never knew it.
  const known = keysOf(partner);
  return known.some((key) => buried.has(key)) && !known.some((key) => present.has(key)) ? 'removed' : undefined;
}

/** False when nothing was left to change. */
async function apply(
  { partners }: Store,
  partner: Partner,
  end: CarriedOver,
  { former, now }: { former: Former | undefined; now: number },
): Promise<boolean> {
  const { uid } = partner;
  const row = former?.partners.get(uid);
  const notify = Boolean(row?.notice_pending);
  const state = effectiveState(partner, now);
  if (end === 'removed') await partners.remove(uid, { notify });
  else if (end === 'revoked' && state !== 'revoked')
    await partners.apply(uid, 'revoke', { by: row?.revoked_by ?? 'us', notify });
  else if (end === 'suspended' && state === 'active') await partners.apply(uid, 'suspend');
  else return false;
  return true;
}
