/** Syncs that this process runs: each with its log and its metrics, all of them ended when the process is. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { imageLimits, imagePolicyLimits } from '../core/limits.ts';
import type { ExecutionOptions, NewExecution } from '../model/execution.ts';
import { runSync } from '../sync/images/sync.ts';
import type { RegionEnd, SyncEvent, SyncReport } from '../sync/images/syncTypes.ts';
import { type Bandwidth, parseBandwidth } from '../sync/transfer/bandwidth.ts';
import { ExecutionLogger } from './executionLogger.ts';
import type { EndsQuery, ImageEnds } from './imageEnds.ts';
import type { Installation } from './installation.ts';

export interface RunAsk {
  /** `manual`, `rest`, `policy:NAME`. */
  readonly trigger: string;
  readonly query: EndsQuery;
  readonly options: Omit<ExecutionOptions, 'parallel'> & { readonly parallel: number | null };
  /** As it is written in the configuration; null: as `images.bwlimit` says. */
  readonly bwlimit: string | null;
  /** Only these regions, each with the names of its images, or null for all of them. Absent: all that the query names. */
  readonly parts?: ReadonlyMap<string, ReadonlySet<string> | null>;
  /** Beside the log and the metrics. */
  readonly onEvent?: (event: SyncEvent) => void;
  readonly signal?: AbortSignal;
}

export interface Run {
  /** It is in the database. */
  readonly executionId: string;
  /** Never rejects: what went wrong is in the execution. Null where even that could not be written. */
  readonly ended: Promise<SyncReport | null>;
}

/** What a sync is asked for where nobody says otherwise. */
export const plainOptions: RunAsk['options'] = {
  ...{
    compat: false,
    only: null,
    parallel: null,
    imagesParallel: imageLimits.imagesAtOnce,
    maxBytes: null,
    approved: false,
  },
};

type Runner = Pick<Installation, 'store' | 'clock' | 'log' | 'telemetry'>;

export class ImageRuns {
  readonly #tools: Runner;
  readonly #abort = new AbortController();
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(tools: Runner) {
    this.#tools = tools;
  }

  get stopping(): boolean {
    return this.#abort.signal.aborted;
  }

  /**
   * Takes over `ends`, and closes them in any case. Resolves as soon as the execution is in the database.
   *
   * @throws AllianceError bad_request for a bandwidth that is none, shutting_down, those of the database
   */
  async begin(ends: ImageEnds, ask: RunAsk): Promise<Run> {
    const executionId = randomUUID();
    const logger = new ExecutionLogger(this.#tools, executionId);
    let ended: Promise<SyncReport> | undefined;
    let hasStarted = false;
    const started = new Promise<void>((resolve) => {
      ended = this.#carryOut(ends, ask, executionId, (event) => {
        if (event.kind === 'started') {
          hasStarted = true;
          resolve();
        }
        logger.take(event);
      }).finally(() => logger.close());
    });
    const noted = ended!.catch(async (thrown: unknown) => {
      // What never began is for the caller to tell.
      if (hasStarted) await this.#giveUp(executionId, ask, thrown);
      return null;
    });
    this.#running.set(executionId, noted);
    void noted.finally(() => this.#running.delete(executionId));
    // Whichever comes first; an end without a start is a failure.
    await Promise.race([started, ended]);
    return { executionId, ended: noted };
  }

  /** An execution that failed before it could begin, so that somebody sees it. */
  async recordFailure(ask: RunAsk, thrown: unknown): Promise<string> {
    const { errorName, message } = toAllianceError(thrown);
    const id = randomUUID();
    const execution: NewExecution = {
      ...{ id, trigger: ask.trigger, source: ask.query.from ?? '', regions: ask.query.words },
      options: { ...ask.options, parallel: ask.options.parallel ?? 1 },
    };
    await this.#tools.store.executions.begin(execution);
    await this.#tools.store.executions.end(id, 'failed', { name: errorName, reason: message });
    this.#tools.telemetry.imageExecution('failed');
    return id;
  }

  /** Ends all of them; each notes where it is, as far as there is time. */
  async stop(): Promise<void> {
    this.#abort.abort(new AllianceError('shutting_down'));
    const late = delay(imagePolicyLimits.stopMs, undefined, { ref: false });
    await Promise.race([Promise.allSettled(this.#running.values()), late]);
  }

  async #carryOut(
    ends: ImageEnds,
    ask: RunAsk,
    executionId: string,
    tell: (event: SyncEvent) => void,
  ): Promise<SyncReport> {
    const { telemetry, store, clock } = this.#tools;
    telemetry.imageExecutions(1);
    try {
      if (this.stopping) throw new AllianceError('shutting_down');
      const { config, master } = ends;
      const signals = [this.#abort.signal, ...(ask.signal ? [ask.signal] : [])];
      const report = await runSync(
        {
          ...ask.options,
          ...{ executionId, master, trigger: ask.trigger },
          regions: partsOf(ends.regions, ask.parts),
          parallel: ask.options.parallel ?? config.parallel,
          only: ask.options.only && new Set(ask.options.only),
          bytesPerS: bandwidthOf(ask.bwlimit ?? config.bwlimit),
          signal: AbortSignal.any(signals),
          onEvent: (event) => {
            this.#count(event);
            tell(event);
            ask.onEvent?.(event);
          },
        },
        { store, clock },
      );
      telemetry.imageExecution(report.state);
      return report;
    } finally {
      telemetry.imageExecutions(-1);
      await ends.close();
    }
  }

  #count(event: SyncEvent): void {
    const { telemetry } = this.#tools;
    if (event.kind === 'started') for (const region of event.regions) telemetry.imageRegion(region);
    if (event.kind === 'task_ended') telemetry.imageTask(event.region, event.task.state, event.task.sentBytes);
  }

  async #giveUp(executionId: string, { trigger }: RunAsk, thrown: unknown): Promise<void> {
    const { log, store, telemetry } = this.#tools;
    const error = toAllianceError(thrown);
    log.warn({ err: error, execution: executionId, trigger }, 'A sync of images failed.');
    telemetry.imageExecution('failed');
    const failure = { name: error.errorName, reason: error.message };
    // It may be the database that failed; the log has it, and the next run closes what a dead one left.
    await store.executions.end(executionId, 'failed', failure).catch(() => undefined);
  }
}

const bandwidthOf = (text: string | null): Bandwidth | null =>
  text === null ? null : parseBandwidth(text, 'images.bwlimit');

function partsOf(regions: readonly RegionEnd[], parts: RunAsk['parts']): readonly RegionEnd[] {
  if (!parts) return regions;
  return regions.flatMap((region) => {
    const only = parts.get(region.name);
    return only === undefined ? [] : [{ ...region, only }];
  });
}
