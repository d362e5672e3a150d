/** What every test of the contract stands on: a fresh store, and a clock that it turns. */

import type { Store } from '../../../src/model/store.ts';
import type { createTestClock } from '../../support/store.ts';

export interface Bench {
  readonly store: Store;
  readonly clock: ReturnType<typeof createTestClock>;
  /** One more store on the same database, as another process would have it. */
  another(): Promise<Store>;
}
