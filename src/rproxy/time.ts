/** Times that a partner answers. */
import { AllianceError } from '../core/errors.ts';
import { timeLimits } from '../core/limits.ts';
import { type Int64, toNumber } from '../wire/types.ts';

/** UTC epoch milliseconds, within the years that can be stored and shown; throws wire_malformed, naming `field`. */
export function readTime(value: Int64, field: string): number {
  const ms = toNumber(value);
  if (ms < 0 || ms > timeLimits.latestMs)
    throw new AllianceError('wire_malformed', { field, details: `${field} is no point in time.` });
  return ms;
}
