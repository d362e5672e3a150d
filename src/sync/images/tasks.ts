/** The actions of a plan as tasks: which of them are wanted, what each needs, and in which order they run. */
import { randomUUID } from 'node:crypto';
import type { Action, IdOf } from './plan.ts';
import type { SyncTask } from './syncTypes.ts';

export interface PlannedTask {
  readonly task: SyncTask;
  readonly action: Action;
  /** Names of images whose new ids it needs. */
  readonly needs: ReadonlySet<string>;
}

const isIdOf = (value: unknown): value is IdOf => typeof value === 'object' && value !== null;

const needsOf = ({ properties }: Action): Set<string> =>
  new Set([...properties.values()].filter(isIdOf).map(({ idOf }) => idOf));

/** Those of these names, and what they need; null: all. */
export function wantedActions(actions: readonly Action[], only: ReadonlySet<string> | null): readonly Action[] {
  if (!only) return actions;
  const wanted = new Set(only);
  const sends = new Map(actions.filter((action) => 'source' in action).map((action) => [action.name, action]));
  // A set goes through what is added to it on the way.
  for (const name of wanted)
    for (const needed of actions.filter((each) => each.name === name).flatMap((each) => [...needsOf(each)]))
      if (sends.has(needed)) wanted.add(needed);
  return actions.filter(({ name }) => wanted.has(name));
}

export const planTasks = (region: string, actions: readonly Action[]): PlannedTask[] =>
  actions.map((action, position) => ({
    action,
    needs: needsOf(action),
    task: {
      id: randomUUID(),
      region,
      position,
      kind: action.kind,
      name: action.name,
      sourceId: 'source' in action ? action.source : null,
      imageId: 'source' in action ? null : action.id,
      totalBytes: 'source' in action ? action.sizeBytes : 0,
      sentBytes: 0,
      state: 'waiting',
      failure: null,
      startedAt: null,
      endedAt: null,
    },
  }));

/** Whether it is done; what is not keeps those from running that need it. */
export type RunTask = (planned: PlannedTask) => Promise<boolean>;

/**
 * Runs tasks in their order, so many at a time, each after those that it needs.
 *
 * @param skip called instead of `run` for a task whose need was not met, with the name of that
 * @throws what `run` or `skip` throws, after all that were running have ended
 */
export async function runTasks(
  tasks: readonly PlannedTask[],
  atOnce: number,
  { run, skip }: { readonly run: RunTask; readonly skip: (planned: PlannedTask, need: string) => Promise<void> },
): Promise<void> {
  const sending = new Set(tasks.filter(({ action }) => 'source' in action).map(({ task }) => task.name));
  const sent = new Map<string, boolean>();
  let waiting = [...tasks];
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const settle = ({ action, task }: PlannedTask, done: boolean): void => {
    if ('source' in action) sent.set(task.name, done);
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
  };
  while (waiting.length > 0 || running.size > 0) {
    const left: PlannedTask[] = [];
    const before = waiting.length;
    for (const planned of waiting) {
      const needs = [...planned.needs];
      const unmet = needs.find((need) => sent.get(need) === false || !sending.has(need));
      if (unmet !== undefined) {
        settle(planned, false);
        // Others are running, and are to end before this does.
        await skip(planned, unmet).catch(fail);
      } else if (!failure && running.size < atOnce && needs.every((need) => sent.get(need))) {
        const one: Promise<void> = run(planned)
          .then((done) => settle(planned, done))
          .catch(fail)
          .finally(() => running.delete(one));
        running.add(one);
      } else left.push(planned);
    }
    waiting = left;
    if (running.size > 0) await Promise.race(running);
    else if (failure || waiting.length === before) break;
  }
  if (failure) throw failure.error;
}
