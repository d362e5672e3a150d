import type { CallOptions } from '../client/connection.ts';
import type { ClientPool } from '../client/pool.ts';
import type { Partner } from '../model/partner.ts';
import { PingRequest } from '../wire/types.ts';

export interface Pong {
  /** cloud_id that answered. */
  readonly cloudId: string;
  /** Round-trip time over the channel, ms. */
  readonly roundTripMs: number;
}

/** One ping over the sealed channel. */
export async function ping(pool: ClientPool, from: string, partner: Partner, options?: CallOptions): Promise<Pong> {
  const startedAt = performance.now();
  const answer = await pool.call(partner, 'ping', new PingRequest({ cloud_id: from, request_data: 'ping' }), options);
  return { cloudId: answer.cloud_id, roundTripMs: performance.now() - startedAt };
}
