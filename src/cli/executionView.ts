/** Executions for people and as data. */
import type { Execution, ExecutionRegion, ExecutionTask, Failure } from '../model/execution.ts';
import type { LogLine } from '../model/executionLog.ts';
import { formatDuration, formatFacts, formatTable, formatTime, isoTime, printable } from './text.ts';

export interface Told {
  readonly execution: Execution;
  readonly tasks: readonly ExecutionTask[];
}

const viewFailure = (failure: Failure | null) => failure && { name: failure.name, reason: failure.reason };

/** How many images there are, how many of them are done, and how many failed or were left out. */
const countsOf = (tasks: readonly ExecutionTask[]) => ({
  tasks: tasks.length,
  done: tasks.filter(({ state }) => state === 'done').length,
  failed: tasks.filter(({ state }) => state === 'failed' || state === 'skipped').length,
  total_bytes: tasks.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
  sent_bytes: tasks.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
});

export const viewExecution = ({ execution, tasks }: Told) => ({
  id: execution.id,
  trigger: execution.trigger,
  state: execution.state,
  source: execution.source,
  regions: execution.regions,
  failure: viewFailure(execution.failure),
  stop_asked: execution.stopAsked,
  started_at: isoTime(execution.startedAt),
  ended_at: isoTime(execution.endedAt),
  ...countsOf(tasks),
});

export function listLines(told: readonly Told[], now: number): string[] {
  const rows = told.map(({ execution, tasks }) => {
    const { id, state, trigger, source, regions, startedAt, endedAt, stopAsked } = execution;
    const counts = countsOf(tasks);
    const failed = counts.failed > 0 ? `, ${counts.failed} failed` : '';
    return [
      id,
      stopAsked && state === 'running' ? 'running (asked to stop)' : state,
      trigger,
      `${source} -> ${regions.join(', ') || '-'}`,
      formatTime(startedAt),
      formatDuration((endedAt ?? now) - startedAt),
      `${counts.done} of ${counts.tasks}${failed}`,
    ];
  });
  if (rows.length === 0) return ['No executions.'];
  return formatTable(['ID', 'STATE', 'TRIGGER', 'REGIONS', 'STARTED', 'TOOK', 'IMAGES'], rows);
}

export const viewDetails = (told: Told, regions: readonly ExecutionRegion[]) => {
  const { options } = told.execution;
  return {
    ...viewExecution(told),
    options: {
      compat: options.compat,
      only: options.only,
      parallel: options.parallel,
      images_parallel: options.imagesParallel,
      max_bytes: options.maxBytes,
      approved: options.approved,
    },
    region_states: regions.map(({ region, state, failure, endedAt }) => ({
      ...{ region, state, failure: viewFailure(failure), ended_at: isoTime(endedAt) },
    })),
    images: told.tasks.map((task) => ({
      region: task.region,
      action: task.kind,
      name: task.name,
      source: task.sourceId,
      image: task.imageId,
      total_bytes: task.totalBytes,
      sent_bytes: task.sentBytes,
      state: task.state,
      failure: viewFailure(task.failure),
      started_at: isoTime(task.startedAt),
      ended_at: isoTime(task.endedAt),
    })),
  };
};

const because = (failure: Failure | null): string => failure?.reason ?? '-';

export function detailLines({ execution, tasks }: Told, regions: readonly ExecutionRegion[], now: number): string[] {
  const { options, startedAt, endedAt, failure } = execution;
  const counts = countsOf(tasks);
  return [
    ...formatFacts([
      ['execution', execution.id],
      ['state', execution.stopAsked && execution.state === 'running' ? 'running (asked to stop)' : execution.state],
      ...(failure ? [['because', failure.reason] as const] : []),
      ['trigger', execution.trigger],
      ['from', execution.source || '-'],
      ['started', formatTime(startedAt)],
      ['took', formatDuration((endedAt ?? now) - startedAt)],
      ['images', `${counts.done} of ${counts.tasks} done, ${counts.failed} failed or left out`],
      ['bytes', `${counts.sent_bytes} of ${counts.total_bytes} sent`],
      ...(options.only ? [['only', options.only.join(', ')] as const] : []),
    ]),
    '',
    ...formatTable(
      ['REGION', 'STATE', 'REASON'],
      regions.map((region) => [region.region, region.state, because(region.failure)]),
    ),
    ...(tasks.length === 0 ? [] : ['']),
    ...(tasks.length === 0
      ? []
      : formatTable(
          ['RESULT', 'ACTION', 'REGION', 'IMAGE', 'BYTES', 'REASON'],
          tasks.map((task) => [
            ...[task.state, task.kind, task.region, task.name, String(task.totalBytes), because(task.failure)],
          ]),
        )),
  ];
}

export const viewLine = ({ position, at, level, region, image, text }: LogLine) => ({
  ...{ position, at: isoTime(at), level, region, image, text },
});

export function logLine({ at, level, region, image, text }: LogLine): string {
  const about = [region, image].filter((part) => part !== null).join(' ');
  const mark = level === 'info' ? '' : `${level.toUpperCase()} `;
  return printable(`${formatTime(at)} ${mark}${about === '' ? '' : `${about}: `}${text}`);
}
