import { describeTwoClouds } from '../support/twoClouds.ts';
import { sharedKeystone } from './support.ts';

// Its Keystones are stopped on the way, so this comes last.
describeTwoClouds('real Keystones', (region) => sharedKeystone({ region }), { timeoutMs: 60_000 });
