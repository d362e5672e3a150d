/**
 * What becomes by itself of projects that partners made for this cloud. Both sides know when one ends, so each tells its own people and
 * ends its own note; of one that the partner removes before, we learn by asking.
 */
import { provisionLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { announcedAt, announcedFrom, type Provision, presentStates } from '../model/provision.ts';
import type { Installation } from './installation.ts';
import { confirmProject } from './provisions.ts';

type Tools = Pick<Installation, 'store' | 'clock' | 'log'>;

const named = ({ cloudId, projectId, asked }: Provision) => ({
  partner: cloudId,
  project: projectId,
  name: asked.name,
});

/**
 * Announces those that end soon, and ends those that were over days ago. Not before: our clock may be wrong, and what has ended here is
 * in nobody's list while it may count and last at the partner. Each end is therefore announced first, as where they are removed.
 */
export async function tendOwnProjects({ store, clock, log }: Tools): Promise<void> {
  const { provisions } = store;
  const now = clock.now();
  const endsBy = now + provisionLimits.noticeMs;
  for (const ours of await provisions.list({ direction: 'out', states: presentStates, endsBy })) {
    const { id, state, expiresAt } = ours;
    const end = expiresAt ?? Number.POSITIVE_INFINITY;
    const announced = announcedAt(ours, now);
    if (announced === null) {
      // Of one that may not be there nobody is told beforehand.
      const from = state === 'creating' ? end : (announcedFrom(ours) ?? end);
      if (from <= now && (await provisions.noticed(id)))
        log.warn(
          { ...named(ours), removeAt: new Date(end).toISOString() },
          'A project that a partner made for us will be removed.',
        );
    } else if (Math.max(end, announced) + provisionLimits.presumedGoneMs <= now) {
      if (await provisions.ended(id, 'expired'))
        log.warn(named(ours), 'A project that a partner made for us has expired.');
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
