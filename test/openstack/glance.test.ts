import { describeGlance } from '../support/glanceContract.ts';
import { startCloudGlance } from './cloudGlance.ts';

describeGlance('a real Glance', () => startCloudGlance({ region: 'images' }));
