/** What a run found, as a table for people and as one flat object for programs. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** What it must reach, where something is asked for. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
}

/** Three significant digits are more than a benchmark knows. */
export const rounded = (value: number): number => Number(value.toPrecision(value >= 1000 ? 4 : 3));

/** Throws RangeError on a name given twice or a value that is no number: JSON would hide both. */
export function toJson(figures: readonly Figure[]): string {
  const flat = new Map<string, number>();
  for (const { name, value } of figures) {
    if (flat.has(name) || !Number.isFinite(value)) throw new RangeError(`${name} is there twice or is no number.`);
    flat.set(name, rounded(value));
  }
  return JSON.stringify(Object.fromEntries(flat));
}

export function isMet({ value, target }: Figure): boolean {
  if (target === undefined) return true;
  return 'atLeast' in target ? rounded(value) >= target.atLeast : rounded(value) <= target.atMost;
}

function targetText({ target }: Figure): string {
  if (target === undefined) return '';
  return 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
}

export function toTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    String(rounded(figure.value)),
    targetText(figure),
    isMet(figure) ? '' : 'MISSED',
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map(([name, value, target, mark]) =>
      [name!.padEnd(widths[0]!), value!.padStart(widths[1]!), target!.padEnd(widths[2]!), mark].join('  ').trimEnd(),
    )
    .join('\n');
}
