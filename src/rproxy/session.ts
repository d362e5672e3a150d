import type { ClientPool } from '../client/pool.ts';
import type { Partner } from '../model/partner.ts';
import type { SessionFacts } from '../model/session.ts';
import type { Store } from '../model/store.ts';

/** Agrees on a new session with the partner and proves it by a channel. */
export async function openSession(pool: ClientPool, partner: Partner): Promise<SessionFacts> {
  const { session } = await pool.open(partner, true);
  const { secret: _secret, continuity: _continuity, ...facts } = session;
  return { ...facts, hasSecret: true, hasContinuity: true };
}

/** Ends every session with the partner on this side; running brokers close their channels within a second. Returns how many. */
export const closeSessions = (store: Store, partner: Partner): Promise<number> =>
  store.sessions.deleteForPartner(partner.uid);
