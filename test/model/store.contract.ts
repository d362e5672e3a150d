/** The contract of the store, for any engine: `open` opens one more store on the database of the running test, `reset` ends them and drops it. */
import type { Clock } from '../../src/core/clock.ts';
import type { Store } from '../../src/model/store.ts';
import { createTestClock } from '../support/store.ts';
import { describeAudit } from './contract/audit.ts';
import type { Bench } from './contract/bench.ts';
import { describeFeed } from './contract/feed.ts';
import { describeInvitations } from './contract/invitations.ts';
import { describeKeys } from './contract/keys.ts';
import { describePartnerImages } from './contract/partnerImages.ts';
import { describePartners } from './contract/partners.ts';
import { describePolicies } from './contract/policies.ts';
import { describeProvisions } from './contract/provisions.ts';
import { describeSessions } from './contract/sessions.ts';
import { describeSmall } from './contract/small.ts';
import { describeTokenKeys } from './contract/tokenKeys.ts';

export interface Engine {
  open(clock: Clock): Promise<Store>;
  reset(): Promise<void>;
}

export function describeStore(name: string, engine: Engine): void {
  describe(`store on ${name}`, () => {
    let clock = createTestClock();
    let store: Store;
    const bench: Bench = {
      get store() {
        return store;
      },
      get clock() {
        return clock;
      },
      another: () => engine.open(clock),
    };

    beforeEach(async () => {
      clock = createTestClock();
      store = await engine.open(clock);
    });
    afterEach(() => engine.reset());

    describePartners(bench);
    describeKeys(bench);
    describeSessions(bench);
    describeInvitations(bench);
    describeFeed(bench);
    describeSmall(bench);
    describeTokenKeys(bench);
    describeAudit(bench);
    describeProvisions(bench);
    describePartnerImages(bench);
    describePolicies(bench);
  });
}
