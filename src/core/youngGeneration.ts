/**
 * V8's young generation. Loading the program makes garbage for which V8 enlarges it from 2 to 32 MiB, and a broker that idles would keep
 * them for half a minute; a broker under load is some percent faster with them (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';

/** Keeps it at its first size; to be called before the program loads. */
export const holdYoungGeneration = (): void => setFlagsFromString('--semi-space-growth-factor=1');

/** Lets it grow as soon as calls need it, to its full size in one step. */
export const releaseYoungGeneration = (): void => setFlagsFromString('--semi-space-growth-factor=16');
