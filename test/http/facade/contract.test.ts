import { startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { describeFacade } from '../../support/facadeContract.ts';

describeFacade('a facade before the embedded Keystone', () => startSandboxKeystone({ region: 'east' }));
