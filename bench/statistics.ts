/** The few sums that measurements need. */

/** The middle value, or the mean of the two in the middle. Throws RangeError where there is none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('There is nothing to take the median of.');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle]!;
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

/**
 * Median of a/b over the rounds. What was measured in one round is compared within that round, so that a machine whose pace changes
 * from one minute to the next changes both sides alike.
 */
export function medianRatio(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) throw new RangeError('Both sides need the same rounds.');
  return median(a.map((value, round) => value / b[round]!));
}
