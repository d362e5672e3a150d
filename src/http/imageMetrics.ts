/** Metrics of the syncs of images that a broker runs; those of commands are in the database only (`alliance execution list`). */
import { Counter, Gauge, type Registry } from 'prom-client';
import { imagePolicyLimits } from '../core/limits.ts';
import type { Telemetry } from '../core/telemetry.ts';

type ImageTelemetry = Pick<Telemetry, 'imageExecutions' | 'imageExecution' | 'imageRegion' | 'imageTask'>;

const executionResults = ['done', 'partly', 'failed', 'stopped'];
const taskResults = ['done', 'failed', 'skipped'];

/** What stands for all regions beyond those that are told apart. */
const others = 'other';

export function createImageMetrics(registers: Registry[]): ImageTelemetry {
  const running = new Gauge({
    name: 'alliance_image_executions_running',
    help: 'Syncs of images that the broker runs now.',
    registers,
  });
  const executions = new Counter({
    name: 'alliance_image_executions_total',
    help: 'Syncs of images that the broker ran to an end, by result.',
    labelNames: ['result'],
    registers,
  });
  const tasks = new Counter({
    name: 'alliance_image_tasks_total',
    help: 'Images that syncs worked on, by region and result.',
    labelNames: ['region', 'result'],
    registers,
  });
  const bytes = new Counter({
    name: 'alliance_image_bytes_total',
    help: 'Bytes of images that were sent, by region and by what became of the image.',
    labelNames: ['region', 'result'],
    registers,
  });
  // From 0, so that an alert sees the first one.
  for (const result of executionResults) executions.inc({ result }, 0);

  const regions = new Set<string>();
  const labelOf = (region: string): string => {
    if (regions.has(region)) return region;
    if (regions.size >= imagePolicyLimits.metricRegions) return others;
    regions.add(region);
    return region;
  };
  return {
    imageExecutions: (change) => running.inc(change),
    imageExecution: (result) => executions.inc({ result }),
    imageRegion: (name) => {
      const region = labelOf(name);
      for (const counter of [tasks, bytes]) for (const result of taskResults) counter.inc({ region, result }, 0);
    },
    imageTask: (name, result, sentBytes) => {
      const region = labelOf(name);
      tasks.inc({ region, result });
      bytes.inc({ region, result }, sentBytes);
    },
  };
}
