/** What a sync tells, as lines of a log. Pure. */

import type { Failure } from '../../model/execution.ts';
import type { NewLogLine } from '../../model/executionLog.ts';
import { bytesOf } from './plan.ts';
import type { SyncEvent, SyncTask } from './syncTypes.ts';

const MIB = 1024 * 1024;
const sizeText = (bytes: number): string => (bytes === 0 ? '' : ` (${(bytes / MIB).toFixed(1)} MiB)`);

const because = (failure: Failure | null): string => (failure === null ? '' : `: ${failure.reason} [${failure.name}]`);

const doing: Readonly<Record<SyncTask['kind'], string>> = {
  upload: 'sending',
  replace: 'sending, to replace the one that is there',
  rename: 'sending, to put aside the one that is there',
  update: 'changing what is known of it',
  obsolete: 'marking as obsolete',
};

/**
 * Nothing for progress; one line or a few for everything else.
 *
 * @param at UTC epoch milliseconds
 */
export function linesOf(event: SyncEvent, at: number): NewLogLine[] {
  const line = (
    level: NewLogLine['level'],
    text: string,
    region: string | null = null,
    image: string | null = null,
  ): NewLogLine => ({ at, level, region, image, text });
  switch (event.kind) {
    case 'started':
      return [line('info', `began, for ${event.regions.join(', ')}`)];
    case 'recovered': {
      const { name, outcome, reason } = event.recovery;
      const text = `left unfinished by an earlier run, now ${outcome}: ${reason}`;
      return [line(outcome === 'left' ? 'warn' : 'info', text, event.region, name)];
    }
    case 'region_planned': {
      const { plan, tasks, region } = event;
      const notices = plan.notices.map(({ kind, name, details }) => line('warn', `${kind}: ${details}`, region, name));
      const count = tasks.length === 1 ? '1 task' : `${tasks.length} tasks`;
      return [...notices, line('info', `planned: ${count}${sizeText(bytesOf(plan.actions))}`, region)];
    }
    case 'region_ended': {
      const level = event.state === 'done' ? 'info' : event.state === 'failed' ? 'error' : 'warn';
      return [line(level, `${event.state}${because(event.failure)}`, event.region)];
    }
    case 'task_started':
      return [
        line('info', `${doing[event.task.kind]}${sizeText(event.task.totalBytes)}`, event.region, event.task.name),
      ];
    case 'task_progress':
      return [];
    case 'task_ended': {
      const { state, failure, name, totalBytes } = event.task;
      const level = state === 'done' ? 'info' : state === 'failed' ? 'error' : 'warn';
      const size = state === 'done' ? sizeText(totalBytes) : '';
      return [line(level, `${state}${size}${because(failure)}`, event.region, name)];
    }
    case 'note':
      return [line('warn', event.text, event.region, event.name)];
    case 'ended': {
      const { state, failure, sentBytes } = event.report;
      const level = state === 'done' ? 'info' : state === 'failed' ? 'error' : 'warn';
      return [line(level, `ended: ${state}${sizeText(sentBytes)}${because(failure)}`)];
    }
  }
}
