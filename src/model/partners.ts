/** The stored partners. Every change of trust bumps the trust epoch in its own transaction. */
import type { Transaction, Updateable } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { type PartnerUid, parsePartnerName } from '../core/ids.ts';
import { recordPairing, recordTrust } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { ApplyOptions, Partner, PartnerChanges, Partners } from './partner.ts';
import { createPartnerKeys } from './partnerKeys.ts';
import { endpointsText, insertPartner, loadPartner, refuseKnownNames, withKeys } from './partnerRows.ts';
import type { PartnerRow, Tables } from './tables.ts';
import { checkTrustTill, effectiveState, nextState, type TrustEvent } from './trust.ts';

type Columns = Partial<Omit<PartnerRow, 'uid'>>;

export function createPartners(db: Database, clock: Clock): Partners {
  /** Runs `work` on the partner as it is now, stores what it returns, and bumps the epoch. */
  const change = (
    uid: PartnerUid,
    work: (partner: Partner, trx: Transaction<Tables>, now: number) => Columns | Promise<Columns>,
  ): Promise<Partner> =>
    db.write(async (trx) => {
      const now = clock.now();
      const columns = await work(await loadPartner(trx, uid), trx, now);
      await setColumns(trx, uid, { ...columns, updated_at: now });
      await bumpTrustEpoch(trx);
      const partner = await loadPartner(trx, uid);
      if (partner.removed && partner.noticePending === null)
        await trx.deleteFrom('partners').where('uid', '=', uid).execute();
      return partner;
    });

  const find = async (column: 'cloud_id' | 'name', word: string): Promise<Partner | null> => {
    const rows = await db.reader
      .selectFrom('partners')
      .selectAll()
      .where(column, '=', word as never)
      .where('removed', '=', 0)
      .execute();
    return (await withKeys(db.reader, rows))[0] ?? null;
  };

  return {
    ...createPartnerKeys(db, clock),

    add: (partner) =>
      db.write(async (trx) => {
        const now = clock.now();
        const stored = await loadPartner(trx, await insertPartner(trx, partner, now));
        await recordPairing(trx, 'stored', stored, { by: 'us', now });
        return stored;
      }),

    get: (uid) => loadPartner(db.reader, uid),

    resolve: async (word) => {
      const partner = (await find('cloud_id', word)) ?? (await find('name', word));
      if (!partner) throw new AllianceError('partner_not_found', { details: word });
      return partner;
    },

    findByCloudId: (cloudId) => find('cloud_id', cloudId),

    list: async ({ removed = false } = {}) => {
      const rows = await db.reader
        .selectFrom('partners')
        .selectAll()
        .where('removed', '=', removed ? 1 : 0)
        .orderBy('name')
        .execute();
      return withKeys(db.reader, rows);
    },

    apply: (uid, event, options = {}) =>
      change(uid, async (partner, trx, now) => {
        const columns = transition(partner, event, { ...options, now });
        const { state: to, trust_till } = columns;
        await recordTrust(trx, event, partner, { by: options.by, now, to, trust_till });
        if (event === 'revoke') await trx.deleteFrom('sessions').where('partner_uid', '=', uid).execute();
        return columns;
      }),

    update: (uid, changes) =>
      change(uid, async (partner, trx, now) => {
        if (changes.name !== undefined) await refuseKnownNames(trx, { name: parsePartnerName(changes.name) }, uid);
        if (changes.trustTill !== undefined) refuseUntrusted(partner, changes.trustTill, now);
        const columns = toColumns(changes);
        if (isTrustChange(changes)) await recordTrust(trx, 'changed', partner, { ...columns, now });
        return columns;
      }),

    touch: async (uid, at) => {
      await setColumns(db.light.writer, uid, { last_contact: at });
    },

    recordError: async (uid, { at, code, name, message }) => {
      await setColumns(db.light.writer, uid, { last_error: JSON.stringify({ at, code, name, message }) });
    },

    remove: async (uid, { notify = true } = {}) => {
      await change(uid, async (partner, trx, now) => {
        await recordTrust(trx, 'removed', partner, { now });
        await trx.deleteFrom('sessions').where('partner_uid', '=', uid).execute();
        await bury(trx, partner);
        return {
          state: 'revoked',
          revoked_by: partner.revokedBy ?? 'us',
          removed: 1,
          approval: null,
          code: null,
          notice_pending: notify && partner.revokedBy !== 'partner' ? 'removed' : null,
        };
      });
    },
  };
}

/** The columns after `event`; pure. */
function transition(partner: Partner, event: TrustEvent, options: ApplyOptions & { now: number }): Columns {
  const { by = 'us', now } = options;
  const label = partner.name;
  // To write an expiry down, and to take it back, the stored state counts: a suspension outlives it. For all else trust ended in time.
  const stored = event === 'expire' || event === 'renew';
  const state = nextState(stored ? partner.state : effectiveState(partner, now), event, label);
  switch (event) {
    case 'approve': {
      if (by !== partner.approval)
        throw new AllianceError('illegal_transition', {
          details: `approve: partner ${label} awaits approval by ${partner.approval === 'us' ? 'us' : 'the partner'}`,
        });
      const trustTill = options.trustTill === undefined ? partner.trustTill : options.trustTill;
      refusePast(trustTill, now);
      return { state, approval: null, code: null, trust_since: now, trust_till: trustTill };
    }
    case 'renew': {
      const trustTill = options.trustTill ?? null;
      refusePast(trustTill, now);
      return { state, trust_till: trustTill };
    }
    case 'revoke': {
      const tell = by === 'us' && options.notify !== false;
      return { state, approval: null, code: null, revoked_by: by, notice_pending: tell ? 'revoked' : null };
    }
    default:
      return { state };
  }
}

function refusePast(trustTill: number | null, now: number): void {
  checkTrustTill(trustTill);
  if (trustTill !== null && trustTill <= now)
    throw new AllianceError('bad_request', { field: 'trust_till', details: 'The end of trust lies in the past.' });
}

/** A new end of trust must not revive what has ended: that is what `renew` is for. */
function refuseUntrusted(partner: Partner, trustTill: number | null, now: number): void {
  const state = effectiveState(partner, now);
  if (state === 'expired' || state === 'revoked')
    throw new AllianceError('illegal_transition', { details: `set trust_till: partner ${partner.name} is ${state}` });
  refusePast(trustTill, now);
}

/** What stays of a removed partner: which cloud_id its keys are bound to, and which of them are dead. */
async function bury(trx: Transaction<Tables>, { cloudId, keys }: Partner): Promise<void> {
  for (const { fingerprint, state } of keys) {
    const usable = state === 'retired' ? 0 : 1;
    await trx
      .insertInto('tombstones')
      .values({ fingerprint, cloud_id: cloudId, usable })
      .onConflict((oc) => oc.column('fingerprint').doUpdateSet({ usable }))
      .execute();
  }
}

/** Whether it matters to whom we trust with what; the others are notes of ours. */
const isTrustChange = ({ bundleSequence: _, noticePending: __, ...others }: PartnerChanges): boolean =>
  Object.keys(others).length > 0;

async function setColumns(db: Database['writer'], uid: PartnerUid, columns: Columns): Promise<void> {
  await db
    .updateTable('partners')
    .set(columns as Updateable<PartnerRow>)
    .where('uid', '=', uid)
    .execute();
}

function toColumns(changes: PartnerChanges): Columns {
  const columns: Columns = {};
  if (changes.name !== undefined) columns.name = changes.name;
  if (changes.role !== undefined) columns.role = changes.role;
  if (changes.endpoints !== undefined) columns.endpoints = endpointsText(changes.endpoints);
  if (changes.trustTill !== undefined) columns.trust_till = changes.trustTill;
  if (changes.bundleSequence !== undefined) columns.bundle_sequence = changes.bundleSequence;
  if (changes.acknowledgedSequence !== undefined) columns.acknowledged_sequence = changes.acknowledgedSequence;
  if (changes.noticePending !== undefined) columns.notice_pending = changes.noticePending;
  if (changes.continuityGrantedTill !== undefined) columns.continuity_granted_till = changes.continuityGrantedTill;
  return columns;
}
