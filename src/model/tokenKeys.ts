/** The stored token-signing keys of partners. */
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { recordTokenKey } from './auditActs.ts';
import { bumpTrustEpoch } from './counters.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';
import type { PublishedTokenKey, StoredTokenKey, TokenKeyState, TokenKeys } from './tokenKey.ts';
import type { Side } from './trust.ts';

export function createTokenKeys(db: Database, clock: Clock): TokenKeys {
  return {
    list: () => rows(db.reader),

    publish: async (partnerUid, keys, ours) => {
      const own = keys.filter(ours);
      const isOwn = (key: PublishedTokenKey) => has(own, key);
      // Nearly always nothing has changed, and no lock is needed to see that.
      if (isSame(await rows(db.reader), partnerUid, keys, isOwn)) return [];
      return db.write(async (trx) => {
        const now = clock.now();
        const known = await rows(trx);
        const before = known.filter((key) => key.partnerUid === partnerUid);
        for (const key of before) if (!has(keys, key)) await withdraw(trx, key, now);
        const refused: PublishedTokenKey[] = [];
        for (const key of keys) {
          const held = before.find(({ thumbprint }) => thumbprint.equals(key.thumbprint));
          if (held && !(held.state === 'active' && isOwn(key))) continue;
          const others = known.filter((one) => one.partnerUid !== partnerUid && one.thumbprint.equals(key.thumbprint));
          const state = stateOf(isOwn(key), others);
          if (!held) await insert(trx, partnerUid, key, now);
          await setState(trx, { partnerUid, thumbprint: key.thumbprint }, state, { by: 'partner', now });
          if (state === 'active') continue;
          refused.push(key);
          // Whose it is cannot be told from here: whoever came first may have been the one that lied.
          for (const other of others)
            if (other.state === 'active') await setState(trx, other, 'disputed', { by: 'partner', now });
        }
        await bumpTrustEpoch(trx);
        return refused;
      });
    },

    choose: (partnerUid, thumbprint) =>
      db.write(async (trx) => {
        const by = { by: 'us', now: clock.now() } as const;
        const held = (await rows(trx)).filter((key) => key.thumbprint.equals(thumbprint));
        if (!held.some((key) => key.partnerUid === partnerUid))
          throw new AllianceError('bad_request', { field: 'key', details: 'The partner publishes no such key.' });
        for (const key of held) await setState(trx, key, key.partnerUid === partnerUid ? 'chosen' : 'refused', by);
        await bumpTrustEpoch(trx);
      }),
  };
}

const has = (keys: readonly PublishedTokenKey[], { thumbprint }: PublishedTokenKey): boolean =>
  keys.some((key) => key.thumbprint.equals(thumbprint));

function isSame(
  known: readonly StoredTokenKey[],
  partnerUid: PartnerUid,
  keys: readonly PublishedTokenKey[],
  isOwn: (key: PublishedTokenKey) => boolean,
): boolean {
  const held = known.filter((key) => key.partnerUid === partnerUid);
  return (
    held.length === keys.length &&
    held.every((key) => has(keys, key)) &&
    !held.some((key) => key.state === 'active' && isOwn(key))
  );
}

function stateOf(own: boolean, others: readonly StoredTokenKey[]): TokenKeyState {
  if (own) return 'disputed';
  if (others.some(({ state }) => state === 'chosen')) return 'refused';
  return others.length > 0 ? 'disputed' : 'active';
}

async function rows(db: Database['reader'] | Transaction<Tables>): Promise<StoredTokenKey[]> {
  const found = await db
    .selectFrom('token_keys')
    .innerJoin('partners', 'partners.uid', 'token_keys.partner_uid')
    .selectAll('token_keys')
    .where('partners.removed', '=', 0)
    .orderBy('token_keys.created_at')
    .execute();
  return found.map(({ partner_uid, created_at, ...key }) => ({
    ...key,
    partnerUid: partner_uid,
    createdAt: created_at,
  }));
}

type Key = Pick<StoredTokenKey, 'partnerUid' | 'thumbprint'>;

async function setState(
  trx: Transaction<Tables>,
  key: Key,
  state: TokenKeyState,
  act: { readonly by: Side; readonly now: number },
): Promise<void> {
  await trx
    .updateTable('token_keys')
    .set({ state })
    .where('partner_uid', '=', key.partnerUid)
    .where('thumbprint', '=', key.thumbprint)
    .execute();
  await recordTokenKey(trx, `token_key_${state}`, key, act);
}

async function withdraw(trx: Transaction<Tables>, key: Key, now: number): Promise<void> {
  await trx
    .deleteFrom('token_keys')
    .where('partner_uid', '=', key.partnerUid)
    .where('thumbprint', '=', key.thumbprint)
    .execute();
  await recordTokenKey(trx, 'token_key_withdrawn', key, { by: 'partner', now });
}

async function insert(
  trx: Transaction<Tables>,
  partnerUid: PartnerUid,
  { thumbprint, algorithm, spki }: PublishedTokenKey,
  now: number,
): Promise<void> {
  await trx
    .insertInto('token_keys')
    .values({ thumbprint, partner_uid: partnerUid, algorithm, spki, state: 'disputed', created_at: now })
    .execute();
}
