/** What a sync tells, as data: one object a line. */
import type { Failure } from '../model/execution.ts';
import { bytesOf, type RegionPlan } from '../sync/images/plan.ts';
import type { Recovery, RegionReport, SyncEvent, SyncReport, SyncTask } from '../sync/images/syncTypes.ts';
import { isInSync } from './imageWorld.ts';
import { isoTime } from './text.ts';

const viewFailure = (failure: Failure | null) => failure && { name: failure.name, reason: failure.reason };

const viewTask = ({ kind, name, sourceId, imageId, totalBytes, sentBytes, state, failure }: SyncTask) => ({
  action: kind,
  name,
  source: sourceId,
  image: imageId,
  total_bytes: totalBytes,
  sent_bytes: sentBytes,
  state,
  failure: viewFailure(failure),
});

const viewRecovery = ({ name, imageId, outcome, reason }: Recovery) => ({ name, image: imageId, outcome, reason });

/** What is left that a sync does not mend, or did not. */
const remaining = ({ entries }: RegionPlan) =>
  entries
    .filter(({ status }) => status.startsWith('error'))
    .map(({ status, name, reason }) => ({ status, name, reason }));

const viewRegion = (report: RegionReport) => ({
  region: report.region,
  state: report.state,
  failure: viewFailure(report.failure),
  in_sync: isRegionInSync(report),
  notices: report.plan?.notices ?? [],
  remaining: report.plan ? remaining(report.plan) : [],
  recovered: report.recovered.map(viewRecovery),
  notes: report.notes,
  tasks: report.tasks.map(viewTask),
});

/** Whether a region is as it should be, now that all that was planned is done. */
export const isRegionInSync = ({ state, plan, tasks }: RegionReport): boolean =>
  state === 'done' &&
  plan !== null &&
  tasks.every((task) => task.state === 'done') &&
  isInSync({ ...plan, entries: plan.entries.filter(({ status }) => !status.startsWith('pending')) }) &&
  plan.entries.filter(({ status }) => status.startsWith('pending')).every(({ name }) => isDone(name, plan, tasks));

/** Whether a task was made of what an entry says; with `--only` some are not. */
const isDone = (name: string, { actions }: RegionPlan, tasks: readonly SyncTask[]): boolean =>
  !actions.some((action) => action.name === name) || tasks.some((task) => task.name === name);

export const viewReport = (master: string, report: SyncReport) => ({
  event: 'ended',
  execution_id: report.executionId,
  master,
  state: report.state,
  failure: viewFailure(report.failure),
  in_sync: report.regions.every(isRegionInSync),
  sent_bytes: report.sentBytes,
  started_at: isoTime(report.startedAt),
  ended_at: isoTime(report.endedAt),
  regions: report.regions.map(viewRegion),
});

/** Undefined for the last one, whose report comes with the result. */
export function viewEvent(event: SyncEvent): object | undefined {
  switch (event.kind) {
    case 'started':
      return { event: event.kind, execution_id: event.executionId, regions: event.regions };
    case 'recovered':
      return { event: event.kind, region: event.region, ...viewRecovery(event.recovery) };
    case 'region_planned': {
      const { region, plan, tasks } = event;
      return {
        event: event.kind,
        region,
        bytes: bytesOf(plan.actions),
        tasks: tasks.length,
        notices: plan.notices,
      };
    }
    case 'region_ended':
      return { event: event.kind, region: event.region, state: event.state, failure: viewFailure(event.failure) };
    case 'task_started':
    case 'task_progress':
    case 'task_ended':
      return { event: event.kind, region: event.region, ...viewTask(event.task) };
    case 'note':
      return { event: event.kind, region: event.region, name: event.name, text: event.text };
    case 'ended':
      return undefined;
  }
}
