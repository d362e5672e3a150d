import { describeFacade } from '../support/facadeContract.ts';
import { startRealKeystone } from './support.ts';

describeFacade('a facade before a real Keystone', () => startRealKeystone({ region: 'east' }));
