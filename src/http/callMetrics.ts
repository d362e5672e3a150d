/**
 * Counts and durations of calls. A call is counted in place, because prom-client's work for one observation (labels checked, joined to a
 * key, looked up; twice, for counter and histogram) is a sixth of what a ping costs; text and sums are made when somebody asks.
 */

type Direction = 'in' | 'out';

/** Calls of one method in one direction. */
interface Cell {
  readonly method: string;
  readonly direction: Direction;
  readonly outcomes: Map<string, number>;
  /** Calls by the first bound that they do not exceed; the last one is without bound. */
  readonly buckets: number[];
  sumMs: number;
}

export interface CallCount {
  readonly method: string;
  readonly direction: Direction;
  readonly outcome: string;
  readonly count: number;
}

export class CallMetrics {
  readonly #boundsMs: readonly number[];
  readonly #cells = { in: new Map<string, Cell>(), out: new Map<string, Cell>() };

  /** Upper bounds of the buckets, ascending, ms. */
  constructor(boundsMs: readonly number[]) {
    this.#boundsMs = boundsMs;
  }

  record(method: string, direction: Direction, outcome: string, durationMs: number): void {
    const cell = this.#cells[direction].get(method) ?? this.#add(method, direction);
    const { outcomes, buckets } = cell;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    let index = 0;
    while (durationMs > (this.#boundsMs[index] ?? Number.POSITIVE_INFINITY)) index++;
    buckets[index]! += 1;
    cell.sumMs += durationMs;
  }

  *counts(): Iterable<CallCount> {
    for (const { method, direction, outcomes } of this.#all())
      for (const [outcome, count] of outcomes) yield { method, direction, outcome, count };
  }

  /** A histogram in Prometheus' text format, in seconds. */
  histogram(name: string, help: string): string {
    const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
    for (const { method, direction, buckets, sumMs } of this.#all()) {
      const labels = `method="${method}",direction="${direction}"`;
      let count = 0;
      for (const [index, inBucket] of buckets.entries()) {
        count += inBucket;
        const bound = this.#boundsMs[index];
        const le = bound === undefined ? '+Inf' : String(bound / 1000);
        lines.push(`${name}_bucket{le="${le}",${labels}} ${count}`);
      }
      lines.push(`${name}_sum{${labels}} ${sumMs / 1000}`, `${name}_count{${labels}} ${count}`);
    }
    return `${lines.join('\n')}\n`;
  }

  *#all(): Iterable<Cell> {
    yield* this.#cells.in.values();
    yield* this.#cells.out.values();
  }

  #add(method: string, direction: Direction): Cell {
    const buckets = new Array<number>(this.#boundsMs.length + 1).fill(0);
    const cell: Cell = { method, direction, outcomes: new Map(), buckets, sumMs: 0 };
    this.#cells[direction].set(method, cell);
    return cell;
  }
}
