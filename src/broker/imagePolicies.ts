/**
 * Syncs that a running broker does by itself: `images.policies`. What is due is written down before it is begun, so that of several
 * processes on one database one runs it, and a time that passed while nobody ran is made up for, once.
 */
import { randomUUID } from 'node:crypto';
import type { ImagePolicySettings } from '../core/config.ts';
import { nextTime } from '../core/cron.ts';
import { toAllianceError } from '../core/errors.ts';
import { imagePolicyLimits } from '../core/limits.ts';
import type { DueReason, PolicyState } from '../model/policy.ts';
import { compareSource } from '../sync/images/sourceEvents.ts';
import { openImageEnds } from './imageEnds.ts';
import { type ImageRuns, plainOptions, type Run, type RunAsk } from './imageRuns.ts';
import { listSource } from './imageSource.ts';
import type { Installation } from './installation.ts';

const policyTrigger = (name: string): string => `policy:${name}`;
/** Only one process runs a policy at a time. */
export const policyLease = (name: string): string => `image policy ${name}`;

/** What a policy asks for, at whosever request it runs. */
export const askOfPolicy = (name: string, policy: ImagePolicySettings): RunAsk => ({
  trigger: policyTrigger(name),
  query: { from: policy.from ?? null, words: policy.regions, condition: policy.condition ?? null },
  options: {
    ...plainOptions,
    only: policy.only.length > 0 ? policy.only : null,
    parallel: policy.parallel ?? null,
  },
  bwlimit: policy.bwlimit ?? null,
});

/** What the times that were seen are about: another one begins to count anew. */
const triggerOf = ({ trigger, timeZone, from }: ImagePolicySettings): string =>
  JSON.stringify(trigger === 'event' ? [trigger, from ?? null] : [trigger, timeZone]);

export class ImagePolicies {
  readonly #installation: Installation;
  readonly #runs: ImageRuns;
  /** Those that this process runs now. */
  readonly #active = new Map<string, Promise<void>>();

  /** Those that are looked at now. */
  readonly #tending = new Map<string, Promise<void>>();
  /** When this process last tried to see, for the first time, how images look. */
  readonly #firstLooks = new Map<string, number>();

  constructor(installation: Installation, runs: ImageRuns) {
    this.#installation = installation;
    this.#runs = runs;
  }

  /** Begins a look at each of them; what has become due is begun, and goes on by itself. */
  async look(signal: AbortSignal): Promise<void> {
    const { config, store, clock, log } = this.#installation;
    const { policies } = config.images;
    const states = new Map((await store.policies.list()).map((state) => [state.name, state]));
    const before = clock.now() - imagePolicyLimits.rememberMs;
    if ([...states.values()].some((each) => !policies.has(each.name) && !each.disabled && each.seenTill < before))
      await store.policies.retain([...policies.keys()], before);
    for (const [name, policy] of policies) {
      if (signal.aborted) return;
      // One whose source is slow to answer keeps no other one waiting.
      if (this.#tending.has(name)) continue;
      const work = this.#tend(name, policy, states.get(name), signal)
        .catch((thrown: unknown) => {
          if (!signal.aborted)
            log.warn({ err: toAllianceError(thrown), policy: name }, 'A policy cannot be looked at now.');
        })
        .finally(() => this.#tending.delete(name));
      this.#tending.set(name, work);
    }
  }

  /** When every look and every run of this process has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tending.values());
    await Promise.all(this.#active.values());
  }

  async #tend(
    name: string,
    policy: ImagePolicySettings,
    state: PolicyState | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock } = this.#installation;
    const { policies } = store;
    let known = state;
    if (!known?.disabled) {
      const trigger = triggerOf(policy);
      if (known?.trigger !== trigger) await policies.begin(name, trigger, clock.now());
      if (known?.trigger === trigger || policy.trigger === 'event') {
        const begun = (await policies.get(name))!;
        if (policy.trigger === 'event') await this.#followEvents(name, policy, begun, signal);
        else if (policy.trigger !== 'manual') await this.#followClock(name, policy, begun);
      }
      known = (await policies.get(name)) ?? undefined;
    }
    if (known?.due) await this.#start(name, policy);
  }

  async #followClock(name: string, policy: ImagePolicySettings, state: PolicyState): Promise<void> {
    const { store, clock, log } = this.#installation;
    const now = clock.now();
    const next = nextTime(policy.trigger, policy.timeZone, state.seenTill);
    if (next === null || next > now) return;
    const isLeftOut = policy.overlap === 'skip' && (await this.#isActive(name));
    if (!(await store.policies.seen(name, state.seenTill, now, isLeftOut ? null : 'cron'))) return;
    if (!isLeftOut) return;
    await store.policies.skipped(name, now);
    log.info({ policy: name }, 'A policy is due while it runs; this run is left out.');
  }

  /** While a run is active nobody looks: what happens meanwhile is found afterwards. */
  async #followEvents(
    name: string,
    policy: ImagePolicySettings,
    state: PolicyState,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock, log } = this.#installation;
    const now = clock.now();
    const before = await store.policies.baseline(name);
    const lookedAt = before === null ? (this.#firstLooks.get(name) ?? 0) : state.seenTill;
    if (now - lookedAt < imagePolicyLimits.eventMs || (await this.#isActive(name))) return;
    this.#firstLooks.set(name, now);
    if (!(await store.policies.seen(name, state.seenTill, now, (await this.#isLeftUndone(name, now)) ? 'event' : null)))
      return;
    const { images, projectId } = await listSource(this.#installation, policy.from ?? null, signal);
    const most = imagePolicyLimits.baselineImages;
    const { baseline, changed } = compareSource(before, images, { projectId, most });
    await store.policies.setBaseline(name, baseline, changed.length > 0, now);
    if (changed.length > 0)
      log.info({ policy: name, images: changed.slice(0, 20) }, 'Images at the source have changed.');
  }

  /** Nothing new may happen for long, so what failed is tried again after a while, which doubles with each failure in a row. */
  async #isLeftUndone(name: string, now: number): Promise<boolean> {
    const { executions } = this.#installation.store;
    const latest = await executions.list({ trigger: policyTrigger(name), limit: imagePolicyLimits.eventFailures });
    const good = latest.findIndex(({ state }) => state !== 'failed' && state !== 'partly');
    const failures = good < 0 ? latest.length : good;
    const [last] = latest;
    if (!last || failures === 0) return false;
    // What a guard holds waits for somebody to look.
    const bad = (await executions.regions(last.id)).filter(({ state }) => state !== 'done');
    if (bad.length > 0 && bad.every(({ failure }) => failure?.name === 'sync_stopped')) return false;
    return now - (last.endedAt ?? now) >= imagePolicyLimits.eventRetryMs * 2 ** (failures - 1);
  }

  /** Here, or in another process. */
  async #isActive(name: string): Promise<boolean> {
    if (this.#active.has(name)) return true;
    const filter = { states: ['running'], trigger: policyTrigger(name), limit: 1 } as const;
    return (await this.#installation.store.executions.list(filter)).length > 0;
  }

  /** Without waiting for its end; nothing happens while it is active, and what is due stays so. */
  async #start(name: string, policy: ImagePolicySettings): Promise<void> {
    const { store, log } = this.#installation;
    if (this.#active.has(name) || this.#runs.stopping) return;
    const lease = await holdLease(this.#installation, policyLease(name));
    if (!lease) return;
    const work = (async () => {
      const reason = await store.policies.take(name);
      if (reason !== null) await this.#run(name, policy, reason, lease.signal);
    })()
      .catch((thrown: unknown) => log.warn({ err: toAllianceError(thrown), policy: name }, 'A policy failed.'))
      .finally(async () => {
        await lease.release();
        this.#active.delete(name);
      });
    this.#active.set(name, work);
  }

  async #run(name: string, policy: ImagePolicySettings, reason: DueReason, signal: AbortSignal): Promise<void> {
    const { store, log, clock } = this.#installation;
    log.info({ policy: name, reason }, 'A policy runs.');
    const ask: RunAsk = { ...askOfPolicy(name, policy), signal };
    const run = await this.#begin(ask);
    const executionId = typeof run === 'string' ? run : run.executionId;
    await store.policies.started(name, executionId);
    const report = typeof run === 'string' ? null : await run.ended;
    log.info({ policy: name, execution: executionId, state: report?.state ?? 'failed' }, 'A policy has run.');
    // Whoever starts next goes on with it.
    if (this.#runs.stopping && report?.state === 'stopped') await store.policies.ask(name, reason, clock.now());
  }

  /** Id of an execution that says why there is no run. */
  async #begin(ask: RunAsk): Promise<Run | string> {
    try {
      return await this.#runs.begin(await openImageEnds(this.#installation, ask.query), ask);
    } catch (thrown) {
      if (this.#runs.stopping) throw thrown;
      return this.#runs.recordFailure(ask, thrown);
    }
  }
}

export interface HeldLease {
  /** Fires when it is lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** Undefined where another process has it. */
export async function holdLease(
  { store, log }: Pick<Installation, 'store' | 'log'>,
  name: string,
): Promise<HeldLease | undefined> {
  const holder = randomUUID();
  const { leaseMs } = imagePolicyLimits;
  const acquire = () => store.leases.acquire(name, holder, leaseMs);
  if (!(await acquire())) return undefined;
  const lost = new AbortController();
  let heldTill = performance.now() + leaseMs;
  const renew = async (): Promise<void> => {
    const from = performance.now();
    try {
      if (!(await acquire())) lost.abort();
      heldTill = from + leaseMs;
    } catch (thrown) {
      log.warn({ err: toAllianceError(thrown), lease: name }, 'A lease cannot be renewed now.');
      if (performance.now() >= heldTill) lost.abort();
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / 3).unref();
  return {
    signal: lost.signal,
    release: async () => {
      clearInterval(timer);
      await store.leases.release(name, holder);
    },
  };
}
