/**
 * V8's young generation. Loading the program makes garbage for which V8 enlarges it from 2 to 32 MiB, and a broker that idles would keep
 * them for long; a broker under load is a tenth faster with them (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';

/** Keeps it at its first size; to be called before the program loads. */
export const holdYoungGeneration = (): void => setFlagsFromString('--semi-space-growth-factor=1');

/** Lets it grow with what calls need, as V8 does by itself. */
export const releaseYoungGeneration = (): void => setFlagsFromString('--semi-space-growth-factor=2');
