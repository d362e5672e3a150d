/** What a restore must not undo: ends of trust that the replaced database knows of and the backup does not. */
import type { Kysely } from 'kysely';
import type { PartnerUid } from '../core/ids.ts';
import { readDatabaseFile } from './databaseFile.ts';
import type { Partner } from './partner.ts';
import type { Store } from './store.ts';
import type { PartnerRow, Tables } from './tables.ts';
import { effectiveState } from './trust.ts';

export type CarriedOver = 'revoked' | 'removed' | 'suspended';

type FormerPartner = Pick<PartnerRow, 'uid' | 'state' | 'revoked_by' | 'removed' | 'notice_pending'>;

interface Former {
  readonly partners: ReadonlyMap<PartnerUid, FormerPartner>;
  /** Keys of removed partners and of present ones, hexadecimal. */
  readonly buried: ReadonlySet<string>;
  readonly present: ReadonlySet<string>;
}

/**
 * Partners that `replaced`, the file of a database, does not trust any more end in `store` as they ended there. Where it cannot be
 * read, every active partner is suspended. Returns what became of partners, by cloud_id.
 */
export async function carryOverEnds(
  store: Store,
  replaced: string,
  now: number,
): Promise<{ readable: boolean; changed: Map<string, CarriedOver> }> {
  const former = await readDatabaseFile(replaced, readFormer).catch(() => undefined);
  const changed = new Map<string, CarriedOver>();
  for (const partner of await store.partners.list()) {
    const end = former ? endOf(partner, former) : 'suspended';
    if (end === undefined || !(await apply(store, partner, end, { former, now }))) continue;
    changed.set(partner.cloudId, end);
  }
  return { readable: former !== undefined, changed };
}

/** Columns by name, and few of them: the replaced database may be of another version. */
async function readFormer(reader: Kysely<Tables>): Promise<Former> {
  const columns = ['uid', 'state', 'revoked_by', 'removed', 'notice_pending'] as const;
  const rows = await reader.selectFrom('partners').select(columns).execute();
  const tombstones = await reader.selectFrom('tombstones').select('fingerprint').execute();
  const keys = await reader.selectFrom('partner_keys').select(['fingerprint', 'partner_uid']).execute();
  const partners = new Map(rows.map((row) => [row.uid, row]));
  const present = keys.filter(({ partner_uid }) => partners.get(partner_uid)?.removed === 0);
  const hex = ({ fingerprint }: { fingerprint: Buffer }) => fingerprint.toString('hex');
  return { partners, buried: new Set(tombstones.map(hex)), present: new Set(present.map(hex)) };
}

function endOf({ uid, keys }: Partner, { partners, buried, present }: Former): CarriedOver | undefined {
  const row = partners.get(uid);
  if (row) {
    if (row.removed === 1) return 'removed';
    return row.state === 'revoked' || row.state === 'suspended' ? row.state : undefined;
  }
  // Removed, and its row gone since; unless it came back with the same key, or the replaced database never knew it.
  const known = keys.map(({ fingerprint }) => fingerprint.toString('hex'));
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
