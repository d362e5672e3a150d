/** The stored sessions. Keys are opened only for the one session that is asked for. */
import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { sessionLimits } from '../core/limits.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { recordHandshake } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Direction, SessionFacts, Sessions, StoredSession } from './session.ts';
import type { SessionRow, Tables } from './tables.ts';

type KeyColumn = 'secret' | 'continuity';
type RowId = Pick<SessionRow, 'sid' | 'direction' | 'partner_uid'>;
/** What tells which sessions have to make room for others. */
type Standing = Pick<SessionRow, 'sid' | 'direction' | 'created_at' | 'confirmed_at'>;

/** What binds a sealed key to its place. */
const sessionAad = ({ direction, sid, partner_uid }: RowId, column: KeyColumn): string[] => [
  'sessions',
  `${direction}:${sid}`,
  column,
  partner_uid,
];

export function createSessions(db: Database, keyring: Keyring, clock: Clock): Sessions {
  const open = (row: SessionRow, column: KeyColumn): Buffer => keyring.open(row[column]!, sessionAad(row, column));
  const toSession = (row: SessionRow): StoredSession => {
    const { hasSecret: _, hasContinuity: __, ...facts } = toFacts(row);
    const continuity = row.continuity && open(row, 'continuity');
    return { ...facts, secret: open(row, 'secret'), continuity };
  };

  return {
    insert: (session, { usesGrant = false, ...handshake } = { attempt: 'unknown' }) =>
      db.write(async (trx) => {
        const cloudId = await trustedCloud(trx, session);
        if (usesGrant) await takeContinuityGrant(trx, session);
        const row = toRow(session, keyring);
        const { numInsertedOrUpdatedRows } = await trx
          .insertInto('sessions')
          .values(row)
          .onConflict((oc) => oc.columns(['direction', 'sid']).doNothing())
          .executeTakeFirstOrThrow();
        if (numInsertedOrUpdatedRows !== 1n)
          throw new AllianceError('session_invalid', { details: 'The partner chose a session id that is in use.' });
        await keepWithinLimits(trx, row);
        await recordHandshake(trx, session, { cloudId, ...handshake }, clock.now());
      }),

    findLive: async (sid, direction, now) => {
      const row = await live(db.reader, direction, now).where('sid', '=', sid).executeTakeFirst();
      return row ? toSession(row) : null;
    },

    newest: async (partnerUid, direction, now) => {
      const row = await live(db.reader, direction, now)
        .where('partner_uid', '=', partnerUid)
        .orderBy('created_at', 'desc')
        .orderBy('sid')
        .limit(1)
        .executeTakeFirst();
      return row ? toSession(row) : null;
    },

    findContinuity: async (partnerUid, direction, sid, now) => {
      const all = await ofPartner(db.reader, partnerUid, direction)
        .where('continuity', 'is not', null)
        .where('continuity_till', '>', now)
        .execute();
      // A confirmed one is known to the other side for certain.
      const row = sid === null ? all.sort(worthKeeping)[0] : all.find((candidate) => candidate.sid === sid);
      return row ? { sid: row.sid, key: open(row, 'continuity') } : null;
    },

    isKnown: async (partnerUid, direction, now) => {
      const row = await db.reader
        .selectFrom('sessions')
        .select('sid')
        .where('partner_uid', '=', partnerUid)
        .where('direction', '=', direction)
        .where((eb) =>
          eb.or([
            eb.and([eb('secret', 'is not', null), eb('valid_till', '>', now)]),
            eb.and([eb('continuity', 'is not', null), eb('continuity_till', '>', now)]),
          ]),
        )
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    confirm: async (sid, at, direction) => {
      const update = db.writer
        .updateTable('sessions')
        .set({ confirmed_at: at })
        .where('sid', '=', sid)
        .where('confirmed_at', 'is', null);
      await (direction === undefined ? update : update.where('direction', '=', direction)).execute();
    },

    list: async (partnerUid) => {
      const all = db.reader.selectFrom('sessions').selectAll().orderBy('created_at', 'desc');
      const rows = await (partnerUid === undefined ? all : all.where('partner_uid', '=', partnerUid)).execute();
      return rows.map(toFacts);
    },

    close: (sid, direction) =>
      end(db, (sessions) => {
        const ofSid = sessions.where('sid', '=', sid);
        return direction === undefined ? ofSid : ofSid.where('direction', '=', direction);
      }).then((count) => count > 0),

    deleteForPartner: (partnerUid) => end(db, (sessions) => sessions.where('partner_uid', '=', partnerUid)),

    deleteForKey: (fingerprint) =>
      end(db, (sessions) =>
        sessions.where((eb) =>
          eb.or([eb('own_fingerprint', '=', fingerprint), eb('partner_fingerprint', '=', fingerprint)]),
        ),
      ),
  };
}

/** Wipes keys whose time is over and forgets sessions without any. */
export async function pruneSessions(trx: Transaction<Tables>, now: number): Promise<void> {
  await trx.updateTable('sessions').set({ secret: null }).where('valid_till', '<=', now).execute();
  await trx.updateTable('sessions').set({ continuity: null }).where('continuity_till', '<=', now).execute();
  await deleteEmpty(trx);
}

/** The partner's cloud_id. The handshake took time: the partner, or the key that it proved, may have been revoked meanwhile. */
async function trustedCloud(trx: Transaction<Tables>, session: StoredSession): Promise<CloudId> {
  const partner = await trx
    .selectFrom('partners')
    .leftJoin('partner_keys', (join) =>
      join
        .onRef('partner_keys.partner_uid', '=', 'partners.uid')
        .on('partner_keys.fingerprint', '=', session.partnerFingerprint)
        .on('partner_keys.state', '!=', 'retired'),
    )
    .select(['partners.cloud_id', 'partner_keys.state as key'])
    .where('partners.uid', '=', session.partnerUid)
    .where('partners.state', '!=', 'revoked')
    .executeTakeFirst();
  if (!partner) throw new AllianceError('partner_not_active', { details: 'The partner was revoked or removed.' });
  if (partner.key === null) throw new AllianceError('ticket_refused', { details: "The partner's key was retired." });
  return partner.cloud_id;
}

async function takeContinuityGrant(trx: Transaction<Tables>, { partnerUid, createdAt }: StoredSession): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('partners')
    .set({ continuity_granted_till: null })
    .where('uid', '=', partnerUid)
    .where('continuity_granted_till', '>', createdAt)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new AllianceError('continuity_required');
}

/**
 * Beyond the limits those never confirmed go first, then the oldest. Those just agreed are counted apart, for they are about to be used:
 * several handshakes at a time would otherwise push each other out before any of them could attach.
 */
async function keepWithinLimits(trx: Transaction<Tables>, added: SessionRow): Promise<void> {
  const now = added.created_at;
  // Without the keys themselves: there can be many rows, and this is asked at every handshake.
  const rows = await trx
    .selectFrom('sessions')
    .select(['direction', 'sid', 'created_at', 'valid_till', 'confirmed_at', 'continuity_till'])
    .select((eb) => [eb('secret', 'is not', null).as('secret'), eb('continuity', 'is not', null).as('continuity')])
    .where('partner_uid', '=', added.partner_uid)
    .where('direction', '=', added.direction)
    .execute();
  rows.sort(worthKeeping);
  const live = rows.filter((row) => row.secret && row.valid_till > now);
  const continuous = rows.filter((row) => row.continuity && row.continuity_till > now);
  await wipe(trx, 'secret', beyond(sessionLimits.livePerPartner, live, added));
  await wipe(trx, 'continuity', beyond(sessionLimits.continuityPerPartner, continuous, added));
  if (rows.length > sessionLimits.livePerPartner) await deleteEmpty(trx);
}

/** What must go of these, best first; never the one that was added. */
function beyond(limit: number, rows: readonly Standing[], added: Standing): Standing[] {
  const pending = rows.filter((row) => isPending(row, added.created_at));
  const settled = rows.filter((row) => !pending.includes(row));
  const room = (ofThese: readonly Standing[], most: number) => {
    const others = ofThese.filter(({ sid }) => sid !== added.sid);
    return others.slice(most - (ofThese.length - others.length));
  };
  return [...room(settled, limit), ...room(pending, sessionLimits.pendingPerPartner)];
}

const isPending = (row: Standing, now: number): boolean =>
  row.confirmed_at === null && row.created_at > now - sessionLimits.pendingMs;

/** Order: confirmed ones first, newer ones first. */
function worthKeeping(a: Standing, b: Standing): number {
  const confirmed = Number(b.confirmed_at !== null) - Number(a.confirmed_at !== null);
  return confirmed || b.created_at - a.created_at || (a.sid < b.sid ? -1 : 1);
}

async function wipe(trx: Transaction<Tables>, column: KeyColumn, rows: readonly Standing[]): Promise<void> {
  for (const { direction, sid } of rows)
    await trx
      .updateTable('sessions')
      .set({ [column]: null })
      .where('direction', '=', direction)
      .where('sid', '=', sid)
      .execute();
}

async function deleteEmpty(trx: Transaction<Tables>): Promise<void> {
  await trx.deleteFrom('sessions').where('secret', 'is', null).where('continuity', 'is', null).execute();
}

const deletion = (trx: Transaction<Tables>) => trx.deleteFrom('sessions');

function end(
  db: Database,
  select: (sessions: ReturnType<typeof deletion>) => ReturnType<typeof deletion>,
): Promise<number> {
  return db.write(async (trx) => {
    const { numDeletedRows } = await select(deletion(trx)).executeTakeFirstOrThrow();
    if (numDeletedRows > 0n) await bumpTrustEpoch(trx);
    return Number(numDeletedRows);
  });
}

const ofPartner = (db: Kysely<Tables>, uid: PartnerUid, direction: Direction) =>
  db.selectFrom('sessions').selectAll().where('partner_uid', '=', uid).where('direction', '=', direction);

const live = (db: Kysely<Tables>, direction: Direction, now: number) =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('direction', '=', direction)
    .where('valid_till', '>', now)
    .where('secret', 'is not', null);

function toRow(session: StoredSession, keyring: Keyring): SessionRow {
  const id = { direction: session.direction, sid: session.sid, partner_uid: session.partnerUid };
  return {
    ...id,
    own_fingerprint: session.ownFingerprint,
    partner_fingerprint: session.partnerFingerprint,
    secret: keyring.seal(session.secret, sessionAad(id, 'secret')),
    continuity: session.continuity && keyring.seal(session.continuity, sessionAad(id, 'continuity')),
    created_at: session.createdAt,
    valid_till: session.validTill,
    confirmed_at: session.confirmedAt,
    continuity_till: session.continuityTill,
  };
}

function toFacts(row: SessionRow): SessionFacts {
  return {
    sid: row.sid,
    partnerUid: row.partner_uid,
    direction: row.direction,
    ownFingerprint: row.own_fingerprint,
    partnerFingerprint: row.partner_fingerprint,
    createdAt: row.created_at,
    validTill: row.valid_till,
    confirmedAt: row.confirmed_at,
    continuityTill: row.continuity_till,
    hasSecret: row.secret !== null,
    hasContinuity: row.continuity !== null,
  };
}
