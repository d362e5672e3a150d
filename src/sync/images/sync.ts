/** A sync of images: from one region to others. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../../core/clock.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { imageLimits, syncLimits } from '../../core/limits.ts';
import type { Failure } from '../../model/execution.ts';
import type { Store } from '../../model/store.ts';
import { reasonOf } from '../transfer/retry.ts';
import { createSlots } from '../transfer/slots.ts';
import { createThrottle } from '../transfer/throttle.ts';
import { readImages, toImage } from './fromStore.ts';
import { listingAlarm } from './guard.ts';
import { isOwn } from './image.ts';
import { readMaster } from './master.ts';
import { failureOf } from './progress.ts';
import type { Run } from './run.ts';
import { syncRegion } from './syncRegion.ts';
import type { End, RegionReport, SyncEvent, SyncReport, SyncRequest } from './syncTypes.ts';

export interface SyncServices {
  /** Of a broker's home, or one of its own: what is unfinished is remembered there, so each sync of a region needs the same one. */
  readonly store: Pick<Store, 'executions' | 'transfers' | 'leases' | 'settings'>;
  readonly clock?: Clock;
}

/**
 * Runs it to its end. What fails in a region, or as a whole once it began, is in the report.
 *
 * @throws AllianceError bad_request for a request that makes no sense, and what the database throws
 */
export async function runSync(request: SyncRequest, services: SyncServices): Promise<SyncReport> {
  checkRequest(request);
  const { store, clock = systemClock } = services;
  const { executionId = randomUUID(), trigger, master, regions } = request;
  const { compat, parallel, imagesParallel, maxBytes, approved } = request;
  const only = request.only && [...request.only];
  const names = regions.map(({ name }) => name);
  const options = { compat, only, parallel, imagesParallel, maxBytes, approved };
  await store.executions.endBroken(clock.now());
  await store.executions.begin({ id: executionId, trigger, source: master.name, regions: names, options });
  const startedAt = clock.now();
  const stop = stopping(request, services, executionId);
  const emit = (event: SyncEvent): void => {
    try {
      request.onEvent?.(event);
    } catch (error) {
      stop.now(error);
    }
  };
  const budget = { leftBytes: maxBytes ?? Number.POSITIVE_INFINITY, sentBytes: 0 };
  let outcome: Outcome;
  try {
    emit({ kind: 'started', executionId, regions: names });
    const origin = await originOf(services);
    const throttle = createThrottle(request.bytesPerS, clock);
    const slots = createSlots(syncLimits.transfers);
    const common = { executionId, request, store, clock, throttle, slots, origin, budget, signal: stop.signal, emit };
    outcome = await syncAll(common);
  } catch (error) {
    outcome = { failure: failureOf(stop.signal.aborted ? reasonOf(stop.signal) : error), reports: [] };
  } finally {
    stop.end();
  }
  const { failure, reports } = outcome;
  const state = stop.signal.aborted ? 'stopped' : stateOf(reports, failure);
  const stopped = stop.signal.aborted ? failureOf(reasonOf(stop.signal)) : failure;
  await store.executions.end(executionId, state, stopped);
  const { sentBytes } = budget;
  const endedAt = clock.now();
  const report = { executionId, state, failure: stopped, regions: reports, sentBytes, startedAt, endedAt };
  emit({ kind: 'ended', report });
  return report;
}

interface Outcome {
  readonly failure: Failure | null;
  readonly reports: readonly RegionReport[];
}

function checkRequest({ regions, parallel, imagesParallel }: SyncRequest): void {
  const unfit = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });
  for (const what of ['key', 'name'] as const) {
    const seen = new Set<string>();
    for (const region of regions) {
      if (seen.has(region[what])) throw unfit('region', `Region ${region.name} is named twice.`);
      seen.add(region[what]);
    }
  }
  const isCount = (n: number, most: number): boolean => Number.isInteger(n) && n >= 1 && n <= most;
  if (!isCount(parallel, imageLimits.parallel)) throw unfit('parallel', `It must be 1 to ${imageLimits.parallel}.`);
  if (!isCount(imagesParallel, syncLimits.imagesParallel))
    throw unfit('images_parallel', `It must be 1 to ${syncLimits.imagesParallel}.`);
}

interface Stopping {
  readonly signal: AbortSignal;
  now(reason: unknown): void;
  end(): void;
}

/** A signal that ends with the request's, or when somebody asks for it in the database. */
function stopping({ signal }: SyncRequest, { store }: SyncServices, executionId: string): Stopping {
  const controller = new AbortController();
  // Each region has one.
  setMaxListeners(0, controller.signal);
  const end = (): void => {
    if (signal) controller.abort(reasonOf(signal));
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  const asked = new AllianceError('shutting_down', { details: 'Somebody asked it to stop.', retryable: false });
  const timer = setInterval(() => {
    // A database that does not answer now may do so the next time.
    store.executions.touch(executionId).then(
      (stop) => stop && controller.abort(asked),
      () => undefined,
    );
  }, syncLimits.touchMs);
  return {
    signal: controller.signal,
    now: (reason) => controller.abort(toAllianceError(reason)),
    end: () => {
      clearInterval(timer);
      signal?.removeEventListener('abort', end);
    },
  };
}

const originKey = 'image_origin';

async function originOf({ store: { settings } }: SyncServices): Promise<string> {
  const known = await settings.get(originKey);
  if (known !== null) return known;
  await settings.set(originKey, randomUUID());
  return (await settings.get(originKey))!;
}

/** A partner shows more images to whoever reads than are counted as ours where we write. */
const sourceKey = ({ key }: End): string => `source ${key}`;

async function syncAll(common: Omit<Run, 'master' | 'sources'>): Promise<Outcome> {
  const { request, store, signal } = common;
  const { master, approved, regions, parallel } = request;
  const sources = await readImages(master.store, { signal });
  const own = [...sources.values()].filter(({ owner }) => isOwn(owner, master.projectId)).length;
  const alarm = approved
    ? undefined
    : listingAlarm(`The master ${master.name}`, await store.transfers.listedImages(sourceKey(master)), own);
  if (alarm !== undefined) throw new AllianceError('sync_stopped', { field: master.name, details: alarm });
  const run: Run = {
    ...common,
    sources,
    master: readMaster(master.name, [...sources.values()].map(toImage), master.projectId),
  };

  const reports = new Map<string, RegionReport>();
  const waiting = [...regions];
  const worker = async (): Promise<void> => {
    for (let region = waiting.shift(); region; region = waiting.shift())
      reports.set(region.name, await syncRegion(region, run));
  };
  const workers = await Promise.allSettled(Array.from({ length: Math.min(parallel, regions.length) }, worker));
  for (const each of workers) if (each.status === 'rejected') throw each.reason;
  const all = regions.map(({ name }) => reports.get(name)!);
  if (all.some(({ state }) => state === 'done') || regions.length === 0)
    await store.transfers.setListedImages(sourceKey(master), own);
  return { failure: null, reports: all };
}

function stateOf(reports: readonly RegionReport[], failure: Failure | null): SyncReport['state'] {
  if (failure) return failure.name === 'sync_stopped' ? 'stopped' : 'failed';
  const every = (wanted: RegionReport['state']): boolean => reports.every(({ state }) => state === wanted);
  if (every('done')) return 'done';
  if (every('stopped')) return 'stopped';
  return reports.some(({ state }) => state === 'done' || state === 'partly') ? 'partly' : 'failed';
}
