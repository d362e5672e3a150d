/** The stored projects across clouds. */
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { provisionLimits } from '../core/limits.ts';
import type { Database } from './database.ts';
import { endedStates, type Provision, type ProvisionActor, type Provisions, presentStates } from './provision.ts';
import { askedBy, forgetOldest, newProvision, record, toProvision, toRow } from './provisionRows.ts';
import type { ProvisionRow, Tables } from './tables.ts';

type Trx = Transaction<Tables>;

/** States in which it may turn out that there is a project, or none: nobody here has learned it yet. */
const learnedFrom = ['creating', 'expired'] as const satisfies readonly Provision['state'][];

export function createProvisions(db: Database, clock: Clock): Provisions {
  /** Changes a row that is in one of these states, and records it; null when it is not. */
  function change(
    id: string,
    states: readonly Provision['state'][],
    set: Partial<ProvisionRow>,
    act: { outcome: string; actor: ProvisionActor },
    after?: (trx: Trx, provision: Provision) => Promise<void>,
  ): Promise<Provision | null> {
    return db.write(async (trx) => {
      const row = await trx
        .updateTable('provisions')
        .set({ last_error: null, updated_at: clock.now(), ...set })
        .where('id', '=', id)
        .where('state', 'in', [...states])
        .returningAll()
        .executeTakeFirst();
      if (!row) return null;
      const provision = toProvision(row);
      await record(trx, act, provision, clock.now());
      await after?.(trx, provision);
      return provision;
    });
  }

  return {
    find: async (partnerUid, direction, requestId) => {
      const row = await db.reader
        .selectFrom('provisions')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .where('direction', '=', direction)
        .where('request_id', '=', requestId)
        .executeTakeFirst();
      return row ? toProvision(row) : null;
    },

    findProject: async (partnerUid, direction, projectId) => {
      const row = await db.reader
        .selectFrom('provisions')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .where('direction', '=', direction)
        .where('project_id', '=', projectId)
        .executeTakeFirst();
      return row ? toProvision(row) : null;
    },

    list: async ({ direction, cloudId, states, endsBy, quietSince, limit } = {}) => {
      let rows = db.reader.selectFrom('provisions').selectAll();
      if (direction !== undefined) rows = rows.where('direction', '=', direction);
      if (cloudId !== undefined) rows = rows.where('cloud_id', '=', cloudId);
      if (states !== undefined) rows = rows.where('state', 'in', [...states]);
      if (endsBy !== undefined) rows = rows.where('expires_at', '<=', endsBy);
      if (quietSince !== undefined)
        rows = rows.where((eb) => eb.or([eb('updated_at', '<=', quietSince), eb('updated_at', '>', clock.now())]));
      if (limit !== undefined) rows = rows.limit(limit);
      return (await rows.orderBy('created_at').orderBy('id').execute()).map(toProvision);
    },

    reserve: ({ uid, cloudId }, provision, most) =>
      db.write(async (trx) => {
        const { direction, requestId } = provision;
        const known = await trx
          .selectFrom('provisions')
          .selectAll()
          .where('partner_uid', '=', uid)
          .where('direction', '=', direction)
          .where('request_id', '=', requestId)
          .executeTakeFirst();
        if (known) return toProvision(known);
        const { count } = await trx
          .selectFrom('provisions')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .where('partner_uid', '=', uid)
          .where('direction', '=', direction)
          .where('state', 'in', presentStates)
          .executeTakeFirstOrThrow();
        if (Number(count) >= most)
          throw new AllianceError('provision_limit', { details: `${cloudId} has ${count} projects of ${most}.` });
        const stored = newProvision(provision, { uid, cloudId }, clock.now());
        await trx.insertInto('provisions').values(toRow(stored)).execute();
        await record(trx, { outcome: 'asked', actor: askedBy(stored) }, stored, clock.now());
        return stored;
      }),

    putBack: (provisions) =>
      db.write(async (trx) => {
        const changed: Provision[] = [];
        for (const provision of provisions) if (await putBack(trx, provision, clock.now())) changed.push(provision);
        return changed;
      }),

    touch: async (id, state = 'creating') => {
      const { numUpdatedRows } = await db.writer
        .updateTable('provisions')
        .set({ updated_at: clock.now() })
        .where('id', '=', id)
        .where('state', '=', state)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },

    activate: (id, { projectId, domainId, roles, expiresAt }) =>
      change(
        id,
        learnedFrom,
        {
          state: 'active',
          project_id: projectId,
          domain_id: domainId,
          ...(roles && { roles: JSON.stringify(roles) }),
          ...(expiresAt !== undefined && { expires_at: expiresAt }),
        },
        { outcome: 'provisioned', actor: 'broker' },
      ),

    abandon: (id, outcome, updatedAt) =>
      db.write(async (trx) => {
        let rows = trx.deleteFrom('provisions').where('id', '=', id).where('state', 'in', learnedFrom);
        if (updatedAt !== undefined) rows = rows.where('updated_at', '=', updatedAt);
        const row = await rows.returningAll().executeTakeFirst();
        if (row) await record(trx, { outcome, actor: 'broker' }, toProvision(row), clock.now());
        return row !== undefined;
      }),

    noticed: async (id) =>
      (await change(
        id,
        presentStates,
        { noticed_at: clock.now() },
        { outcome: 'removal_announced', actor: 'broker' },
      )) !== null,

    switchedOff: (id, removeAt) =>
      db.write(async (trx) => {
        const row = await trx
          .updateTable('provisions')
          .set((eb) => ({
            state: 'off',
            expires_at: eb.case().when('expires_at', '<', removeAt).then(eb.ref('expires_at')).else(removeAt).end(),
            last_error: null,
            updated_at: clock.now(),
          }))
          .where('id', '=', id)
          .where('state', '=', 'active')
          .returningAll()
          .executeTakeFirst();
        if (row) await record(trx, { outcome: 'switched_off', actor: 'broker' }, toProvision(row), clock.now());
        return row !== undefined;
      }),

    beginRemoval: async (id, actor) =>
      (await change(id, ['active', 'off', 'expired'], { state: 'removing' }, { outcome: 'removal_began', actor })) !==
      null,

    endRemoval: async (id) => {
      const act = { outcome: 'removed', actor: 'broker' } as const;
      await change(id, ['removing'], { state: 'removed' }, act, forgetOldest);
    },

    ended: async (id, outcome) => {
      const state = outcome === 'expired' ? 'expired' : 'removed';
      const from = outcome === 'expired' ? presentStates : ([...presentStates, 'expired'] as const);
      return (await change(id, from, { state }, { outcome, actor: 'broker' }, forgetOldest)) !== null;
    },

    fail: async (id, error) => {
      // Not `updated_at`: that says when somebody last got somewhere.
      await db.writer.updateTable('provisions').set({ last_error: error }).where('id', '=', id).execute();
    },

    projectsFor: async (partnerUid, userId, now) => {
      const rows = await db.reader
        .selectFrom('provisions')
        .selectAll()
        .where('partner_uid', '=', partnerUid)
        .where('direction', '=', 'in')
        .where('state', '=', 'active')
        .where((eb) => eb.or([eb('user_id', 'is', null), eb('user_id', '=', userId)]))
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.flatMap(({ project_id: projectId, domain_id: domainId, name, roles }) =>
        projectId !== null && domainId !== null
          ? [{ projectId, name, domainId, roles: JSON.parse(roles) as string[] }]
          : [],
      );
    },

    madeFor: async (projectId) => {
      const row = await db.reader
        .selectFrom('provisions')
        .select(['cloud_id', 'user_id'])
        .where('project_id', '=', projectId)
        .where('direction', '=', 'in')
        .where('state', 'in', presentStates)
        .executeTakeFirst();
      return row ? { cloudId: row.cloud_id, userId: row.user_id } : null;
    },

    prune: (now) =>
      db.write(async (trx) => {
        await trx
          .deleteFrom('provisions')
          .where('state', 'in', endedStates)
          .where('updated_at', '<=', now - provisionLimits.rememberMs)
          .execute();
        // What we asked of a partner that is forgotten cannot be asked about any more.
        await trx
          .deleteFrom('provisions')
          .where('direction', '=', 'out')
          .where((eb) =>
            eb.not(eb.exists(eb.selectFrom('partners').select('uid').whereRef('uid', '=', 'provisions.partner_uid'))),
          )
          .execute();
      }),
  };
}

/** One way only: what was on its way out stays there. */
const stateOrder: readonly Provision['state'][] = [...presentStates, ...endedStates];

async function putBack(trx: Trx, provision: Provision, now: number): Promise<boolean> {
  const { partnerUid, direction, requestId, state, updatedAt } = provision;
  const known = await trx
    .selectFrom('provisions')
    .select(['id', 'state', 'updated_at'])
    .where('partner_uid', '=', partnerUid)
    .where('direction', '=', direction)
    .where('request_id', '=', requestId)
    .executeTakeFirst();
  if (known) {
    const further = stateOrder.indexOf(state) - stateOrder.indexOf(known.state);
    if (further < 0 || (further === 0 && updatedAt <= known.updated_at)) return false;
    await trx.deleteFrom('provisions').where('id', '=', known.id).execute();
  }
  await trx.insertInto('provisions').values(toRow(provision)).execute();
  await record(trx, { outcome: 'carried_over', actor: 'operator' }, provision, now);
  return true;
}
