/** Numbers that grow in the same transaction as what they count. */
import type { Kysely, Transaction } from 'kysely';
import type { Tables } from './tables.ts';

type CounterName = Tables['counters']['name'];

/** Returns the new value. Its row stays locked until the transaction ends, so no two transactions get the same one. */
export async function increase(trx: Transaction<Tables>, name: CounterName, by = 1): Promise<number> {
  const { value } = await trx
    .updateTable('counters')
    .set((eb) => ({ value: eb('value', '+', by) }))
    .where('name', '=', name)
    .returning('value')
    .executeTakeFirstOrThrow();
  return value;
}

export async function setCounter(trx: Transaction<Tables>, name: CounterName, value: number): Promise<void> {
  await trx.updateTable('counters').set({ value }).where('name', '=', name).execute();
}

export async function readCounter(db: Kysely<Tables>, name: CounterName): Promise<number> {
  const { value } = await db.selectFrom('counters').select('value').where('name', '=', name).executeTakeFirstOrThrow();
  return value;
}

/** To be called by every change of partners, keys and identity, and by every revocation of sessions, within its transaction. */
export async function bumpTrustEpoch(trx: Transaction<Tables>): Promise<void> {
  await increase(trx, 'trust_epoch');
}
