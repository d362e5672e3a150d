/** What becomes of projects of partners by itself: what was left half done is finished, what is over is announced and removed. */
import { randomUUID } from 'node:crypto';
import { toAllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { provisionLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import { announcedFrom, type Provision, presentStates, removalOf } from '../model/provision.ts';
import { findMade, removeProject } from '../server/provisioning/projects.ts';
import type { Installation } from './installation.ts';

const lease = 'provisions';

type Tools = Pick<Installation, 'store' | 'clock' | 'log'> & { readonly keystone: Keystone };

/** One round over all of them; of several processes on one database one does it. */
export async function tendProvisions(installation: Installation, keystone: Keystone): Promise<void> {
  const { store, clock, log } = installation;
  const provisions = await store.provisions.list({ direction: 'in', states: presentStates });
  if (provisions.length === 0) return;
  const trusted = await trustedPartners(installation);
  const holder = randomUUID();
  try {
    for (const provision of provisions) {
      if (!(await store.leases.acquire(lease, holder, provisionLimits.leaseMs))) return;
      try {
        await tend({ store, clock, log, keystone }, provision, trusted.has(provision.partnerUid));
      } catch (thrown) {
        const error = toAllianceError(thrown);
        log.warn({ ...named(provision), err: error }, 'A project of a partner cannot be looked after now.');
        // The next one would wait for it, too.
        if (error.errorName === 'keystone_unreachable' || error.errorName === 'overloaded') return;
      }
    }
  } finally {
    await store.leases.release(lease, holder);
  }
}

/** A partner that was revoked or removed does not come back: whoever pairs again is another one. */
async function trustedPartners({ store }: Pick<Installation, 'store'>): Promise<ReadonlySet<PartnerUid>> {
  const partners = await store.partners.list();
  return new Set(partners.filter(({ state }) => state !== 'revoked').map(({ uid }) => uid));
}

const named = ({ cloudId, projectId, asked }: Provision) => ({
  partner: cloudId,
  project: projectId,
  name: asked.name,
});

async function tend(tools: Tools, provision: Provision, trusted: boolean): Promise<void> {
  const { state } = provision;
  if (state === 'creating') return heal(tools, provision);
  if (state === 'removing') return remove(tools, provision);
  if (state === 'active' && !trusted) return switchOff(tools, provision);
  return end(tools, provision);
}

/** Whoever made it died, or could not reach Keystone. */
async function heal({ store, clock, log, keystone }: Tools, provision: Provision): Promise<void> {
  const { id, updatedAt } = provision;
  const idleMs = clock.now() - updatedAt;
  if (idleMs < provisionLimits.healMs) return;
  const made = await findMade(keystone, provision);
  if (made) {
    await store.provisions.activate(id, { projectId: made.id, domainId: made.domainId });
    log.info(named(provision), 'A project of a partner was found that was made, but not noted.');
  } else if (idleMs >= provisionLimits.abandonMs) {
    if (await store.provisions.abandon(id, 'abandoned', updatedAt))
      log.info(named(provision), 'A request of a partner for a project was given up.');
  }
}

/** Nobody is let in any more, but nothing is lost yet: an operator may want to keep what is in there. */
async function switchOff(tools: Tools, provision: Provision): Promise<void> {
  const { store, clock, keystone } = tools;
  if (!(await keystone.switchOffProject(provision.projectId ?? ''))) return remove(tools, provision);
  const removeAt = clock.now() + provisionLimits.graceMs;
  await announce(tools, provision, Math.min(removeAt, provision.expiresAt ?? removeAt), 'trust_ended');
  await store.provisions.switchedOff(provision.id, removeAt);
}

async function end(tools: Tools, provision: Provision): Promise<void> {
  const now = tools.clock.now();
  const announceAt = announcedFrom(provision);
  if (announceAt === null || now < announceAt) return;
  if (provision.noticedAt === null) {
    await announce(tools, provision, removalOf({ ...provision, noticedAt: now }) ?? now, 'expires');
    return;
  }
  if (now >= (removalOf(provision) ?? Number.POSITIVE_INFINITY)) await remove(tools, provision);
}

/** At least once: after a crash in between perhaps a second time. */
async function announce(
  { store, log }: Tools,
  provision: Provision,
  removeAt: number,
  reason: 'expires' | 'trust_ended',
): Promise<void> {
  log.warn(
    { ...named(provision), reason, removeAt: new Date(removeAt).toISOString() },
    'A project of a partner will be removed.',
  );
  await store.provisions.noticed(provision.id);
}

async function remove({ store, log, keystone }: Tools, provision: Provision): Promise<void> {
  await removeProject(store, keystone, provision, 'broker');
  log.warn(named(provision), 'A project of a partner was removed.');
}
