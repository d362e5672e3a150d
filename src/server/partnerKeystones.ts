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
    const overloaded = new AllianceError('overloaded', {
      details: 'Too many requests of this partner wait for Keystone.',
      retryAfterMs: 1000,
    });
    if (queue.size >= keystoneLimits.queue / 4) throw overloaded;
    // The caller's deadline runs while it waits here, and it should hear of a slow Keystone before it gives us up.
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(overloaded), keystoneLimits.partnerWaitMs);
    const run = (): Promise<T> => {
      clearTimeout(timer);
      return work();
    };
    return queue.add(run, waiting);
  };
  return {
    ...keystone,
    validateToken: (token, options) => queued(() => keystone.validateToken(token, options)),
    issueToken: (credentials, scope) => queued(() => keystone.issueToken(credentials, scope)),
    revokeToken: (token) => queued(() => keystone.revokeToken(token)),
    listServices: (filter) => queued(() => keystone.listServices(filter)),
    listEndpoints: (filter) => queued(() => keystone.listEndpoints(filter)),
    listRegions: () => queued(() => keystone.listRegions()),
    createProject: (project) => queued(() => keystone.createProject(project)),
    projectsNamed: (of) => queued(() => keystone.projectsNamed(of)),
    deleteProject: (id) => queued(() => keystone.deleteProject(id)),
    listProjects: (of) => queued(() => keystone.listProjects(of)),
    findProject: (id) => queued(() => keystone.findProject(id)),
    listUsers: (of) => queued(() => keystone.listUsers(of)),
    findUser: (id) => queued(() => keystone.findUser(id)),
    listGroups: (of) => queued(() => keystone.listGroups(of)),
    listAssignments: (actor) => queued(() => keystone.listAssignments(actor)),
    findDomain: (id) => queued(() => keystone.findDomain(id)),
    listDomains: (filter) => queued(() => keystone.listDomains(filter)),
    listRoles: () => queued(() => keystone.listRoles()),
    roleInferences: () => queued(() => keystone.roleInferences()),
  };
}
