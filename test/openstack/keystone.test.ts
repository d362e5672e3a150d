import { describeKeystone } from '../support/keystoneContract.ts';
import { lendKeystone } from './support.ts';

describeKeystone('a real Keystone', () => lendKeystone({ region: 'east' }));
