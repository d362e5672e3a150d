import { describeKeystone } from '../support/keystoneContract.ts';
import { startRealKeystone } from './support.ts';

describeKeystone('a real Keystone', () => startRealKeystone({ region: 'east' }));
