/** What a running broker does by itself: housekeeping, asking after pairings, telling rotations and ends of trust. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { toAllianceError } from '../core/errors.ts';
import { taskLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';
import { tellCheckpoint } from './auditExchange.ts';
import { tendAudit } from './auditTask.ts';
import { followBundle } from './bundle.ts';
import { announceIdentity } from './identity.ts';
import type { Installation } from './installation.ts';
import { giveNotice } from './notices.ts';
import { confirmQuietProject, tendOwnProjects } from './ownProjects.ts';
import { refreshPairing } from './partners.ts';
import { tendProvisions } from './provisionTask.ts';

/** Pauses between the runs of each task. */
export type TaskPauses = Readonly<
  Record<
    | 'housekeepingMs'
    | 'pairingMs'
    | 'noticeMs'
    | 'rotationMs'
    | 'newPartnerMs'
    | 'bundleMs'
    | 'keystoneMs'
    | 'checkpointMs'
    | 'provisionMs'
    | 'partnerImagesMs'
    | 'policyMs',
    number
  >
>;

/** What a task works with besides. */
interface Work {
  readonly keystone: Keystone | undefined;
  /** After its end nothing is begun, and calls to partners end. */
  readonly signal: AbortSignal;
}

export interface Task {
  readonly name: string;
  readonly pause: keyof TaskPauses;
  readonly run: (installation: Installation, work: Work) => Promise<void>;
}

export interface TasksOptions {
  readonly keystone: Keystone | undefined;
  /** Instead of `taskLimits`. */
  readonly pauses?: Partial<TaskPauses>;
  readonly more?: readonly Task[];
}

export interface Tasks {
  stop(): Promise<void>;
}

/** Every task, and those of `more`, is repeated after its pause; what fails for one partner is logged and left for the next time. */
export function startTasks(installation: Installation, { keystone, pauses = {}, more = [] }: TasksOptions): Tasks {
  const abort = new AbortController();
  const { signal } = abort;
  // As many as there are partners to be told something.
  setMaxListeners(0, signal);
  const loops = [...tasks, ...more].map(async ({ name, pause, run }) => {
    while (!signal.aborted) {
      try {
        await run(installation, { keystone, signal });
      } catch (thrown) {
        if (!signal.aborted) installation.log.warn({ task: name, err: toAllianceError(thrown) }, 'A task failed.');
      }
      await delay(pauses[pause] ?? taskLimits[pause], undefined, { signal, ref: false }).catch(() => undefined);
    }
  });
  return {
    stop: async () => {
      abort.abort();
      // Calls to partners end with the pool; there is no use in waiting for their time-outs.
      installation.pool.close();
      await Promise.all(loops);
    },
  };
}

/** Runs `work` for each partner it is due for; one that cannot be reached does not keep the others waiting. */
async function forPartners(
  { view, log }: Installation,
  due: (partner: Partner) => boolean,
  work: (partner: Partner) => Promise<unknown>,
): Promise<void> {
  const partners = [...view.partners].filter(due);
  await Promise.all(
    partners.map((partner) =>
      work(partner).catch((thrown: unknown) =>
        log.debug({ partner: partner.cloudId, err: toAllianceError(thrown) }, 'Not now.'),
      ),
    ),
  );
}

const tasks: readonly Task[] = [
  {
    name: 'housekeeping',
    pause: 'housekeepingMs',
    run: ({ store, clock }) => store.prune(clock.now()),
  },
  {
    name: 'pairing',
    pause: 'pairingMs',
    run: (installation) =>
      forPartners(
        installation,
        (partner) => partner.state === 'pending' && partner.approval === 'partner',
        (partner) => refreshPairing(installation, partner),
      ),
  },
  {
    name: 'notices',
    pause: 'noticeMs',
    run: async (installation, { signal }) => {
      const { store } = installation;
      const ended = [...(await store.partners.list()), ...(await store.partners.list({ removed: true }))];
      await Promise.all(ended.map((partner) => giveNotice(installation, partner, signal)));
    },
  },
  {
    name: 'rotation',
    pause: 'rotationMs',
    run: (installation) =>
      forPartners(
        installation,
        (partner) =>
          installation.view.stateOf(partner) === 'active' &&
          partner.acknowledgedSequence < installation.view.current.sequence,
        (partner) => announceIdentity(installation, partner),
      ),
  },
  {
    // Without its bundle a partner's JWS tokens are not recognised; a new one need not wait for the round of all.
    name: 'new partners',
    pause: 'newPartnerMs',
    run: (installation) =>
      forPartners(
        installation,
        (partner) => installation.view.stateOf(partner) === 'active' && partner.bundleSequence === 0,
        (partner) => followBundle(installation, partner),
      ),
  },
  {
    name: 'trust bundle',
    pause: 'bundleMs',
    run: (installation) =>
      forPartners(
        installation,
        (partner) => installation.view.stateOf(partner) === 'active',
        (partner) => followBundle(installation, partner),
      ),
  },
  {
    name: 'audit',
    pause: 'checkpointMs',
    run: async (installation, { signal }) => {
      if (!(await tendAudit(installation, { signal }))) return;
      await forPartners(
        installation,
        (partner) => installation.view.stateOf(partner) === 'active',
        (partner) => tellCheckpoint(installation, partner),
      );
    },
  },
  {
    name: 'provisions',
    pause: 'provisionMs',
    run: async (installation, { keystone }) => {
      if (keystone) await tendProvisions(installation, keystone);
    },
  },
  {
    name: 'projects at partners',
    pause: 'provisionMs',
    run: async (installation) => {
      await tendOwnProjects(installation);
      await forPartners(
        installation,
        (partner) => partner.role !== 'consumer' && installation.view.stateOf(partner) === 'active',
        (partner) => confirmQuietProject(installation, partner),
      );
    },
  },
];
