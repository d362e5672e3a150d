import { describeImageSync } from '../support/imageStory.ts';
import { startCloudGlance } from './cloudGlance.ts';

describeImageSync('real Keystones and Glances', (region) => startCloudGlance({ region }), {
  largeBytes: 256 * 2 ** 20,
  limitMib: 64,
  timeoutMs: 120_000,
});
