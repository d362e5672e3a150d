/** How many bytes a second may flow: one number, or a timetable of the day. Pure. */
import { AllianceError } from '../../core/errors.ts';
import { transferLimits } from '../../core/limits.ts';

/** From a minute of the day on, local time; null: without a limit. */
export interface BandwidthEntry {
  readonly fromMinute: number;
  readonly bytesPerS: number | null;
}

/** At least one entry, in the order of the day; before the first one the last one of the day before counts. */
export type Bandwidth = readonly BandwidthEntry[];

const units: ReadonlyMap<string, number> = new Map([
  ['', 1024 ** 2],
  ['K', 1024],
  ['M', 1024 ** 2],
  ['G', 1024 ** 3],
]);

const unfit = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });

/**
 * `50M` (MiB/s, as `50` is; K and G likewise), `off`, or a timetable such as `08:00,10M 19:00,off`.
 *
 * @throws AllianceError bad_request with `field`
 */
export function parseBandwidth(text: string, field = '--bwlimit'): Bandwidth {
  const words = text.trim().split(/\s+/);
  if (words.length > transferLimits.timetableEntries) throw unfit(field, 'The timetable has too many entries.');
  if (words.length === 1 && !text.includes(',')) return [{ fromMinute: 0, bytesPerS: parseRate(words[0]!, field) }];
  const entries = words.map((word) => {
    const [, hours, minutes, rate] = /^(\d{1,2}):(\d{2}),(.*)$/.exec(word) ?? [];
    if (rate === undefined || Number(hours) > 23 || Number(minutes) > 59)
      throw unfit(field, `"${word}" must be like 08:00,10M or 19:00,off.`);
    return { fromMinute: Number(hours) * 60 + Number(minutes), bytesPerS: parseRate(rate, field) };
  });
  entries.sort((a, b) => a.fromMinute - b.fromMinute);
  const twice = entries.find(({ fromMinute }, i) => entries[i + 1]?.fromMinute === fromMinute);
  if (twice) throw unfit(field, 'The timetable names a time twice.');
  return entries;
}

function parseRate(text: string, field: string): number | null {
  if (text.toLowerCase() === 'off') return null;
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,6})?)([KMG]?)$/i.exec(text) ?? [];
  const bytesPerS = Math.round(Number(digits) * (units.get((unit ?? '').toUpperCase()) ?? Number.NaN));
  if (!(bytesPerS >= transferLimits.leastBytesPerS && bytesPerS <= Number.MAX_SAFE_INTEGER))
    throw unfit(field, `"${text}" must be a number of MiB/s such as 50 or 50M, at least 1K, or off.`);
  return bytesPerS;
}

/** What counts at a minute of the day. */
export function bandwidthAt(bandwidth: Bandwidth, minute: number): number | null {
  const now = bandwidth.findLast(({ fromMinute }) => fromMinute <= minute) ?? bandwidth.at(-1);
  return now?.bytesPerS ?? null;
}
