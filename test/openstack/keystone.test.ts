import { describeKeystone } from '../support/keystoneContract.ts';
import { lendKeystone } from './support.ts';

// Of its own and the facade's: what it makes there would be in the way of the others.
describeKeystone('a real Keystone', () => lendKeystone({ region: 'contract' }));
