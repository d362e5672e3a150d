/** One run of a sync. */
import type { Clock } from '../../core/clock.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { Store } from '../../model/store.ts';
import type { Slots } from '../transfer/slots.ts';
import type { Throttle } from '../transfer/throttle.ts';
import type { Master } from './master.ts';
import type { SyncEvent, SyncRequest } from './syncTypes.ts';

/** What the regions of a run have in common. */
export interface Run {
  readonly executionId: string;
  readonly request: SyncRequest;
  readonly store: Pick<Store, 'executions' | 'transfers' | 'leases'>;
  readonly clock: Clock;
  readonly throttle: Throttle;
  readonly slots: Slots;
  readonly origin: string;
  readonly master: Master;
  /** Images of the master by id. */
  readonly sources: ReadonlyMap<string, StoredImage>;
  readonly budget: Budget;
  readonly signal: AbortSignal;
  readonly emit: (event: SyncEvent) => void;
}

/** What may still be sent, and what was read. */
export interface Budget {
  leftBytes: number;
  sentBytes: number;
}
