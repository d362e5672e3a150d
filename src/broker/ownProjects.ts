/**
 * What becomes by itself of projects that partners made for this cloud. Both sides know when one ends, so each tells its own people and
 * ends its own note; of one that the partner removes before, we learn by asking.
 */
import { provisionLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { announcedFrom, type Provision, presentStates } from '../model/provision.ts';
import type { Installation } from './installation.ts';
import { confirmProject } from './provisions.ts';

type Tools = Pick<Installation, 'store' | 'clock' | 'log'>;

const named = ({ cloudId, projectId, asked }: Provision) => ({
  partner: cloudId,
  project: projectId,
  name: asked.name,
});

/** Announces those that end soon, and ends those whose time is over. */
export async function tendOwnProjects({ store, clock, log }: Tools): Promise<void> {
  const { provisions } = store;
  const now = clock.now();
  const endsBy = now + provisionLimits.noticeMs;
  for (const ours of await provisions.list({ direction: 'out', states: presentStates, endsBy })) {
    const { id, expiresAt, noticedAt } = ours;
    const end = expiresAt ?? Number.POSITIVE_INFINITY;
    if (end <= now) {
      if (await provisions.ended(id, 'expired'))
        log.warn(named(ours), 'A project that a partner made for us has expired.');
    } else if (noticedAt === null && (announcedFrom(ours) ?? end) <= now) {
      if (await provisions.noticed(id))
        log.warn(
          { ...named(ours), removeAt: new Date(end).toISOString() },
          'A project that a partner made for us will be removed.',
        );
    }
  }
}

/** Asks a partner for one of its projects that was not heard of for long, if there is one. */
export async function confirmQuietProject(
  installation: Tools & Pick<Installation, 'pool'>,
  partner: Partner,
): Promise<void> {
  const { store, clock, log } = installation;
  const quietSince = clock.now() - provisionLimits.confirmMs;
  const query = { direction: 'out', cloudId: partner.cloudId, states: ['active'], quietSince, limit: 1 } as const;
  for (const ours of await store.provisions.list(query))
    if ((await confirmProject(installation, partner, ours)) === 'gone')
      log.warn(named(ours), 'A project that a partner made for us is not there any more.');
}
