/** The target of the syncs that are killed, in a file of its own, since their processes should start fast. */
import { createHash } from 'node:crypto';
import { targetWith } from './images.ts';

export const oldTwo = Buffer.from('what was called two before');

/** What differs is replaced, but for `two`, which is put aside. */
export const crashTarget = targetWith({
  replace: new Set(['any']),
  rename: new Set([createHash('md5').update(oldTwo).digest('hex')]),
});
