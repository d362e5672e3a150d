import { describeFacade } from '../support/facadeContract.ts';
import { lendKeystone } from './support.ts';

describeFacade('a facade before a real Keystone', () => lendKeystone({ region: 'contract' }));
