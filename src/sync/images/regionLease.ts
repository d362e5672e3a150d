/** A region for one run at a time, of all processes that share a database. */
import { randomUUID } from 'node:crypto';
import { AllianceError } from '../../core/errors.ts';
import { syncLimits } from '../../core/limits.ts';
import { hasEnded, ownProcess } from '../../core/ownProcess.ts';
import type { Leases } from '../../model/lease.ts';

export interface RegionLease {
  /** Ends when the region was lost to another process. */
  readonly signal: AbortSignal;
  /** To be asked before each step. @throws AllianceError sync_running where another one has it now */
  hold(): Promise<void>;
  release(): Promise<void>;
}

const taken = (region: string, details: string): AllianceError =>
  new AllianceError('sync_running', { field: region, details });

/** @throws AllianceError sync_running */
export async function leaseRegion(leases: Leases, { key, name }: { key: string; name: string }): Promise<RegionLease> {
  const lease = `image-sync ${key}`;
  const holder = `${ownProcess()} ${randomUUID()}`;
  const acquire = (): Promise<boolean> => leases.acquire(lease, holder, syncLimits.leaseMs);
  if (!(await acquire())) {
    const other = await leases.holder(lease);
    // Whoever was killed cannot give it back.
    if (other !== null && hasEnded(other.slice(0, other.lastIndexOf(' ')))) await leases.release(lease, other);
    if (!(await acquire())) throw taken(name, `Region ${name} has one already.`);
  }
  const controller = new AbortController();
  const hold = async (): Promise<void> => {
    if (controller.signal.aborted) throw controller.signal.reason as Error;
    const isOurs = await acquire();
    if (controller.signal.aborted) {
      // It was given back meanwhile.
      if (isOurs) await leases.release(lease, holder);
      throw controller.signal.reason as Error;
    }
    if (isOurs) return;
    const lost = taken(name, `Another process took over region ${name}.`);
    controller.abort(lost);
    throw lost;
  };
  const timer = setInterval(() => {
    // A database that cannot be written now is found out by the next step.
    hold().catch(() => undefined);
  }, syncLimits.leaseMs / 4);
  return {
    signal: controller.signal,
    hold,
    release: async () => {
      clearInterval(timer);
      // What should still run of it does no step any more.
      controller.abort(taken(name, `The run in region ${name} has ended.`));
      await leases.release(lease, holder);
    },
  };
}
