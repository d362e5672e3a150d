/** Words, times and tables for terminals. */
import { timeLimits } from '../core/limits.ts';

const zeroWidth = /[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/**
 * Partners' data with everything taken out that a terminal would obey or hide: control characters, escapes, and marks that change
 * the direction of writing. They appear as `\x1b`, so that nothing is lost unseen.
 */
export function printable(text: string): string {
  let safe = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const obeyed = code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000);
    if (obeyed) safe += `\\x${code.toString(16).padStart(2, '0')}`;
    else safe += zeroWidth.test(character) ? `\\u${code.toString(16).padStart(4, '0')}` : character;
  }
  return safe;
}

/** Text between single quotes of a POSIX shell. */
export const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The same, without quotes where a shell needs none. */
export const shellWord = (text: string): string => (/^[\w./:@%+,=-]+$/.test(text) ? text : shellQuoted(text));

const obeyedInJson = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** JSON in which nothing is left that a terminal would obey or hide; it parses to the same value. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(
    obeyedInJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** A day for every number, since times come from partners and files, too: one beyond all years is shown as the last or the first. */
const dateOf = (ms: number): Date => new Date(ms > 0 ? Math.min(ms, timeLimits.latestMs) : 0);

/** ISO 8601 in UTC, whole seconds. Never throws. */
export const formatTime = (ms: number): string => isoTime(ms).replace(/\.\d{3}Z$/, 'Z');

/** For JSON: ISO 8601 in UTC with milliseconds, or null. Never throws. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : dateOf(ms).toISOString();
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** The two largest units that say something: `3 d 4 h`, `12 min`, `1.24 s`, `85 ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 0))} s`;
  const at = units.findIndex(([, size]) => ms >= size);
  const [unit, size] = units[at]!;
  const [nextUnit, nextSize] = units[at + 1]!;
  const rest = Math.floor((ms % size) / nextSize);
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${nextUnit}` : ''}`;
}

/** `in 3 d`, `2 h ago`, `now`. */
export function formatDistance(ms: number, now: number): string {
  const distance = Math.sign(ms - now) * Math.round(Math.abs(ms - now) / 1000) * 1000;
  if (distance === 0) return 'now';
  return distance > 0 ? `in ${formatDuration(distance)}` : `${formatDuration(-distance)} ago`;
}

/** Rows under a heading, in columns; cells are made printable. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [heading, ...rows].map((row) => row.map(printable));
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

/** Names and values, the values in one column; a value of several lines stays in it. */
export function formatFacts(facts: readonly (readonly [name: string, value: string | readonly string[]])[]): string[] {
  const width = Math.max(0, ...facts.map(([name]) => name.length));
  return facts.flatMap(([name, value]) => {
    const lines = typeof value === 'string' ? [value] : value.length > 0 ? value : ['-'];
    return lines.map((line, index) => `${(index === 0 ? name : '').padEnd(width)}  ${printable(line)}`);
  });
}
