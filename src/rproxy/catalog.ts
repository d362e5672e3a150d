/** What the lists of services and endpoints have in common. */
import { AllianceError } from '../core/errors.ts';
import { keystoneLimits } from '../core/limits.ts';

/** The list, unless it is longer than the IDL allows. */
export function checkLength<T>(list: readonly T[]): readonly T[] {
  if (list.length > keystoneLimits.listItems)
    throw new AllianceError('wire_malformed', {
      details: `A list of ${list.length}, the limit is ${keystoneLimits.listItems}.`,
    });
  return list;
}
