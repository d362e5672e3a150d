/** The journal of a region, written by whoever has the region. */
import type { Transfers } from '../../model/transfer.ts';
import type { RegionLease } from './regionLease.ts';
import type { SendJournal } from './send.ts';

export const journalOf = (transfers: Transfers, lease: Pick<RegionLease, 'hold'>): SendJournal => ({
  hold: () => lease.hold(),
  begin: async (transfer) => {
    await lease.hold();
    await transfers.begin(transfer);
  },
  step: async ({ id }, step, content) => {
    await lease.hold();
    await transfers.setStep(id, step, content);
  },
  close: ({ id }) => transfers.close(id),
});
