/** What a sync tells, as data: one object a line. */
import type { Failure } from '../model/execution.ts';
import { bytesOf } from '../sync/images/plan.ts';
import type { Recovery, RegionReport, SyncEvent, SyncReport, SyncTask } from '../sync/images/syncTypes.ts';
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

/** Names of images that were asked for; null: all. */
export type Only = ReadonlySet<string> | null;

/** What is left that a sync does not mend. */
export const remainingOf = ({ plan }: RegionReport, only: Only) =>
  (plan?.entries ?? []).filter(({ status, name }) => status.startsWith('error') && (only === null || only.has(name)));

/** Whether a region is as it should be, now that all that was planned is done. */
export const isRegionInSync = (report: RegionReport, only: Only): boolean =>
  report.state === 'done' &&
  report.tasks.every(({ state }) => state === 'done') &&
  remainingOf(report, only).length === 0 &&
  (report.plan?.notices ?? []).every(({ kind }) => kind !== 'condition_failed');

const viewRegion = (report: RegionReport, only: Only) => ({
  region: report.region,
  state: report.state,
  failure: viewFailure(report.failure),
  in_sync: isRegionInSync(report, only),
  notices: report.plan?.notices ?? [],
  remaining: remainingOf(report, only).map(({ status, name, reason }) => ({ status, name, reason })),
  recovered: report.recovered.map(viewRecovery),
  notes: report.notes,
  tasks: report.tasks.map(viewTask),
});

export const viewReport = (master: string, report: SyncReport, only: Only) => ({
  event: 'ended',
  execution_id: report.executionId,
  master,
  state: report.state,
  failure: viewFailure(report.failure),
  in_sync: report.regions.every((region) => isRegionInSync(region, only)),
  sent_bytes: report.sentBytes,
  started_at: isoTime(report.startedAt),
  ended_at: isoTime(report.endedAt),
  regions: report.regions.map((region) => viewRegion(region, only)),
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
