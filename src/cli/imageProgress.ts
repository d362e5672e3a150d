/**
 * How a sync goes on, for people, on stderr: on a terminal a line with a bar for each image that is under way, and one for all of them;
 * elsewhere a line for each thing that happens.
 */
import { linesOf } from '../sync/images/eventLines.ts';
import type { SyncEvent, SyncTask } from '../sync/images/syncTypes.ts';
import type { Output } from './cli.ts';
import { formatDuration, printable } from './text.ts';

const MIB = 1024 * 1024;
const barWidth = 20;
const drawEveryMs = 200;
/** The weight of what was before shrinks to a third in so long. */
const rateWindowMs = 5000;
const usualColumns = 100;
/** Beyond so many, a terminal scrolls. */
const mostBars = 12;

/** Bytes per second, smoothed. */
export class Rate {
  #bytesPerS = 0;
  #weight = 0;
  #last: { readonly bytes: number; readonly at: number } | undefined;

  /** @param bytes all that there were until `at` (ms); fewer than before means that it began again */
  add(bytes: number, at: number): void {
    const last = this.#last;
    this.#last = { bytes, at };
    if (!last || at <= last.at || bytes < last.bytes) return;
    const share = 1 - Math.exp(-(at - last.at) / rateWindowMs);
    const now = ((bytes - last.bytes) * 1000) / (at - last.at);
    this.#bytesPerS += (now - this.#bytesPerS) * share;
    this.#weight += (1 - this.#weight) * share;
  }

  /** The first samples count as much as they are worth, and do not begin at 0. */
  get bytesPerS(): number {
    return this.#weight === 0 ? 0 : this.#bytesPerS / this.#weight;
  }
}

export const sizeText = (bytes: number): string =>
  bytes >= 1024 * MIB ? `${(bytes / MIB / 1024).toFixed(2)} GiB` : `${(bytes / MIB).toFixed(1)} MiB`;

/** `[#####...............]  25%  100.0 MiB  12.3 MiB/s  24 s left` */
export function barText(sent: number, total: number, bytesPerS: number): string {
  const share = total === 0 ? 1 : Math.min(1, sent / total);
  const full = Math.floor(share * barWidth);
  const bar = `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const rate = bytesPerS > 0 ? `  ${sizeText(bytesPerS)}/s` : '';
  const left =
    bytesPerS > 0 && sent < total ? `  ${formatDuration(Math.ceil((total - sent) / bytesPerS) * 1000)} left` : '';
  return `${bar} ${percent}  ${sizeText(total)}${rate}${left}`;
}

/** What a terminal of this width can hold in one line. */
const fitted = (text: string, columns: number): string =>
  text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`;

interface Under {
  readonly task: SyncTask;
  readonly rate: Rate;
}

export interface SyncProgress {
  take(event: SyncEvent): void;
  /** Takes the bars away; what was said stays. */
  stop(): void;
}

interface Terminal extends Output {
  readonly columns?: number;
}

export function startSyncProgress(stderr: Terminal, now: () => number = () => performance.now()): SyncProgress {
  return stderr.isTTY ? new Bars(stderr, now) : plainProgress(stderr);
}

const plainProgress = (stderr: Output): SyncProgress => ({
  take: (event) => {
    for (const line of textsOf(event)) stderr.write(`${line}\n`);
  },
  stop: () => undefined,
});

/** What is said once, in a few words; the whole is in the log of the execution. */
function textsOf(event: SyncEvent): string[] {
  return linesOf(event, 0).map(({ region, image, text }) =>
    printable([region, image, text].filter((part) => part !== null && part !== '').join(': ')),
  );
}

class Bars implements SyncProgress {
  readonly #stderr: Terminal;
  readonly #now: () => number;
  readonly #running = new Map<string, Under>();
  readonly #timer: NodeJS.Timeout;
  readonly #total = new Rate();
  /** Of tasks that have ended, and of all that are known. */
  #sent = 0;
  #bytes = 0;
  #ended = 0;
  #tasks = 0;
  /** Lines that stand below what was said. */
  #drawn = 0;

  constructor(stderr: Terminal, now: () => number) {
    this.#stderr = stderr;
    this.#now = now;
    this.#timer = setInterval(() => this.#draw(), drawEveryMs).unref();
  }

  take(event: SyncEvent): void {
    if (event.kind === 'region_planned') {
      this.#tasks += event.tasks.length;
      for (const { totalBytes } of event.tasks) this.#bytes += totalBytes;
    }
    if (event.kind === 'task_started') this.#running.set(event.task.id, { task: event.task, rate: new Rate() });
    if (event.kind === 'task_progress') this.#progress(event.task);
    if (event.kind === 'task_ended') this.#end(event.task);
    // The bar says it better.
    if (event.kind !== 'task_started') this.#say(textsOf(event));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stderr.write(this.#erased());
  }

  #progress(task: SyncTask): void {
    const under = this.#running.get(task.id) ?? { task, rate: new Rate() };
    under.rate.add(task.sentBytes, this.#now());
    this.#running.set(task.id, { ...under, task });
    this.#total.add(this.#sentSoFar(), this.#now());
  }

  #end(task: SyncTask): void {
    this.#running.delete(task.id);
    this.#ended += 1;
    // What was not sent will not be.
    this.#sent += task.totalBytes;
  }

  #sentSoFar(): number {
    return [...this.#running.values()].reduce((sum, { task }) => sum + task.sentBytes, this.#sent);
  }

  #erased(): string {
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\r\x1b[J` : '';
    this.#drawn = 0;
    return up;
  }

  #say(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.#stderr.write(`${this.#erased()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#draw();
  }

  #draw(): void {
    // Some terminals say 0.
    const columns = this.#stderr.columns || usualColumns;
    const bars = [...this.#running.values()].map(({ task, rate }) => {
      const bar = task.totalBytes === 0 ? '' : barText(task.sentBytes, task.totalBytes, rate.bytesPerS);
      return `${bar === '' ? '' : `${bar}  `}${printable(`${task.region}: ${task.name}`)}`;
    });
    const more = bars.length > mostBars ? [`and ${bars.length - mostBars} more`] : [];
    const all = barText(this.#sentSoFar(), this.#bytes, this.#total.bytesPerS);
    const total = this.#tasks > 0 ? [`${all}  ${this.#ended} of ${this.#tasks}`] : [];
    const lines = [...bars.slice(0, mostBars), ...more, ...total].map((line) => fitted(line, columns));
    this.#stderr.write(`${this.#erased()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawn = lines.length;
  }
}
