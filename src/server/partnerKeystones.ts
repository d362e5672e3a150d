/** This cloud's Keystone as one partner may use it: few requests at a time, so that no partner takes it from the others. */
import PQueue from 'p-queue';
import { AllianceError } from '../core/errors.ts';
import { keystoneLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';

export function partnerKeystones(
  keystone: Keystone | undefined,
  concurrency: () => number,
): (partner: Partner) => Keystone | undefined {
  if (!keystone) return () => undefined;
  const limited = new Map<Partner['uid'], Keystone>();
  return ({ uid }) => {
    const known = limited.get(uid);
    if (known) return known;
    const made = limit(keystone, concurrency);
    limited.set(uid, made);
    return made;
  };
}

function limit(keystone: Keystone, concurrency: () => number): Keystone {
  const queue = new PQueue({ concurrency: concurrency() });
  const queued = async <T>(work: () => Promise<T>): Promise<T> => {
    queue.concurrency = concurrency();
    if (queue.size >= keystoneLimits.queue / 4)
      throw new AllianceError('overloaded', { details: 'Too many requests of this partner wait for Keystone.' });
    return queue.add(work);
  };
  return {
    ...keystone,
    validateToken: (token, options) => queued(() => keystone.validateToken(token, options)),
    issueToken: (credentials, scope) => queued(() => keystone.issueToken(credentials, scope)),
    revokeToken: (token) => queued(() => keystone.revokeToken(token)),
    listServices: (filter) => queued(() => keystone.listServices(filter)),
    listEndpoints: (filter) => queued(() => keystone.listEndpoints(filter)),
    listRegions: () => queued(() => keystone.listRegions()),
  };
}
