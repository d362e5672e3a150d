import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { describeTwoClouds } from '../support/twoClouds.ts';

describeTwoClouds('sandbox Keystones', (region) => startSandboxKeystone({ region }));
