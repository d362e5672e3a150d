import { describeTwoClouds } from '../support/twoClouds.ts';
import { startRealKeystone } from './support.ts';

describeTwoClouds('real Keystones', (region) => startRealKeystone({ region }), { timeoutMs: 60_000 });
