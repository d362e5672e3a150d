/** Runs of syncs that ended badly and that nothing has made up for since. */
import { imagePolicyLimits } from '../core/limits.ts';
import type { Execution, ExecutionRegion, Executions } from '../model/execution.ts';

export interface OpenExecution {
  readonly execution: Execution;
  /** A guard stopped it, or a region of it: somebody has to look. */
  readonly isGuarded: boolean;
  /** Why, of the run or of the first region that has a reason. */
  readonly reason: string | null;
}

interface Seen {
  readonly execution: Execution;
  readonly regions: readonly ExecutionRegion[];
}

const isPolicy = ({ trigger }: Execution): boolean => trigger.startsWith('policy:');

/**
 * Pure. What somebody ended by hand is not open.
 *
 * @param seen newest first
 */
export function openAmong(seen: readonly Seen[], now: number): OpenExecution[] {
  return seen.flatMap(({ execution, regions }, i): OpenExecution[] => {
    const { state, endedAt, failure, source, trigger } = execution;
    if (state === 'running' || state === 'done' || now - (endedAt ?? now) > imagePolicyLimits.shownMs) return [];
    const bad = regions.filter((region) => region.state !== 'done');
    const failures = [failure, ...bad.map((region) => region.failure)].filter((each) => each !== null);
    const isGuarded = failures.some(({ name }) => name === 'sync_stopped');
    if (state === 'stopped' && !isGuarded) return [];
    const later = seen.slice(0, i);
    if (
      isPolicy(execution) &&
      later.some((each) => each.execution.trigger === trigger && each.execution.state === 'done')
    )
      return [];
    const isMended = ({ region: name }: ExecutionRegion): boolean =>
      later.some(
        (each) =>
          each.execution.source === source &&
          each.regions.some((region) => region.region === name && region.state === 'done'),
      );
    if (bad.length > 0 && bad.every(isMended)) return [];
    return [{ execution, isGuarded, reason: failures[0]?.reason ?? null }];
  });
}

export async function findOpenExecutions(executions: Executions, now: number): Promise<OpenExecution[]> {
  await executions.endBroken(now);
  const list = await executions.list();
  const seen = await Promise.all(
    list.map(async (execution) => ({ execution, regions: await executions.regions(execution.id) })),
  );
  return openAmong(seen, now);
}
