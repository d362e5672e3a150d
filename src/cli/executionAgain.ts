/** `alliance execution approve, retry`: a part of an earlier run, once more. */

import { openRegions, regionsFor } from '../broker/imageEnds.ts';
import { askOfPolicy } from '../broker/imagePolicies.ts';
import { openImageState } from '../broker/imageState.ts';
import { systemClock } from '../core/clock.ts';
import { imageLimits } from '../core/limits.ts';
import type { Execution, ExecutionRegion, ExecutionTask } from '../model/execution.ts';
import type { Store } from '../model/store.ts';
import { compileCondition } from '../sync/images/condition.ts';
import { splitRegion } from '../sync/images/regions.ts';
import type { RegionEnd } from '../sync/images/syncTypes.ts';
import { parseBandwidth } from '../sync/transfer/bandwidth.ts';
import { type Cli, exits } from './cli.ts';
import { findExecution, withExecutions } from './executionStore.ts';
import { usageError } from './failure.ts';
import { formatOf, type ImageOptions } from './imageOptions.ts';
import { type OpenClouds, withClouds } from './imageReal.ts';
import { exitOf, run, writeRun } from './imageSync.ts';

export interface AgainOptions extends Pick<ImageOptions, 'glancesyncConfig' | 'config'> {
  readonly bwlimit?: string;
}

export type How = 'approve' | 'retry';

/** Regions of an earlier run, each with the names of its images; null: as that run asked for. */
export type Parts = ReadonlyMap<string, ReadonlySet<string> | null>;

const isStopped = (failure: Execution['failure']): boolean => failure?.name === 'sync_stopped';

/** Pure. */
export function partsOf(
  how: How,
  execution: Execution,
  regions: readonly ExecutionRegion[],
  tasks: readonly ExecutionTask[],
): Parts {
  const all = how === 'approve' ? isStopped(execution.failure) : false;
  const chosen = regions.filter(({ state, failure }) =>
    how === 'approve' ? all || isStopped(failure) : state !== 'done' && !isStopped(failure ?? execution.failure),
  );
  return new Map(
    chosen.map(({ region }) => {
      const own = tasks.filter((task) => task.region === region);
      const left = own.filter(({ state }) => state !== 'done').map(({ name }) => name);
      // One that never came to its images, or left something else undone, is looked at as a whole.
      return [region, how === 'retry' && left.length > 0 ? new Set(left) : null];
    }),
  );
}

export async function again(cli: Cli, how: How, word: string, options: AgainOptions): Promise<number> {
  const { execution, parts } = await withExecutions(cli, async ({ store }) => {
    const found = await findExecution({ store }, word);
    if (found.state === 'running') throw usageError('It is still running.', 'execution');
    const [regions, tasks] = [await store.executions.regions(found.id), await store.executions.tasks(found.id)];
    return { execution: found, parts: partsOf(how, found, regions, tasks) };
  });
  if (parts.size === 0) return nothing(cli, how, execution);
  return withClouds(cli, options, async (open) => {
    const store = open.installation?.store ?? (await openImageState(cli.world.env, systemClock));
    try {
      return await runParts(cli, how, { execution, parts, store, open, options });
    } finally {
      if (!open.installation) await store.close();
    }
  });
}

function nothing(cli: Cli, how: How, { state, id, failure }: Execution): number {
  if (how === 'approve') throw usageError(`No guard stopped it; it has ended as ${state}.`, 'execution');
  if (isStopped(failure)) throw usageError(`A guard stopped it: alliance execution approve ${id}`, 'execution');
  cli.note(`Nothing of it failed: it has ended as ${state}.`);
  return exits.done;
}

interface Work {
  readonly execution: Execution;
  readonly parts: Parts;
  readonly store: Store;
  readonly open: OpenClouds;
  readonly options: AgainOptions;
}

async function runParts(cli: Cli, how: How, { execution, parts, store, open, options }: Work): Promise<number> {
  const { config, clouds, installation } = open;
  const policy = policyOf(execution, open);
  const { target, region } = splitRegion(execution.source);
  const from = execution.source === '' ? (policy?.query.from ?? null) : `${target}:${region}`;
  const chosen = await regionsFor(clouds, config, { from, words: [...parts.keys()] });
  const ends = await openRegions(clouds, chosen.master, chosen.regions);
  const condition = policy?.query.condition ? compileCondition(policy.query.condition) : undefined;
  const regions = ends.regions.map((end): RegionEnd => {
    const rules = condition === undefined ? end.target : { ...end.target, condition };
    return { ...end, target: rules, only: parts.get(end.name) ?? null };
  });
  const { compat, only, imagesParallel, maxBytes, parallel } = execution.options;
  const bandwidth = options.bwlimit ?? policy?.bwlimit ?? config.bwlimit;
  const request = {
    ...{ master: ends.master, regions, compat, imagesParallel, maxBytes, trigger: execution.trigger },
    parallel: Math.min(parallel, imageLimits.parallel),
    bytesPerS: bandwidth === null ? null : parseBandwidth(bandwidth),
    only: only && new Set(only),
    approved: how === 'approve' || execution.options.approved,
  };
  const format = formatOf(cli, {});
  const { done, interrupted } = await run(cli, request, store, { format, logDir: undefined });
  writeRun(cli, ends.master.name, done, request.only, format);
  if (installation && policy) await store.policies.started(policy.name, done.executionId);
  return interrupted ? exits.interrupted : exitOf(done, false, request.only);
}

/** Of a run of a policy what an execution does not remember; undefined where there is none of that name any more. */
function policyOf({ trigger }: Execution, { installation }: OpenClouds) {
  const name = /^policy:(.+)$/.exec(trigger)?.[1];
  const policy = name === undefined ? undefined : installation?.config.images.policies.get(name);
  return name === undefined || !policy ? undefined : { name, ...askOfPolicy(name, policy) };
}
