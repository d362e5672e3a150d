/** Telling partners of the end of a trust that they did not hear of when it ended. */
import { type AllianceError, toAllianceError } from '../core/errors.ts';
import { taskLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { tellEndOfTrustLate } from '../rproxy/pairing.ts';
import type { Installation } from './installation.ts';

/**
 * A partner that does not know us any more need not be told. One that says that the partnership is not active may have suspended it for
 * a while, and is told later.
 */
const isForgotten = ({ remote, errorName }: AllianceError): boolean => remote && errorName === 'ticket_refused';

/** Whether to try now: each pause is as long as all the time before it, up to `noticePauseMaxMs`, whatever is restarted meanwhile. */
export function isNoticeDue({ updatedAt, lastError }: Pick<Partner, 'updatedAt' | 'lastError'>, now: number): boolean {
  // An error of before, or one that the clock has not reached again after it was set back, is none of a notice's.
  if (!lastError || lastError.at < updatedAt || lastError.at > now) return true;
  return now >= lastError.at + Math.min(lastError.at - updatedAt, taskLimits.noticePauseMaxMs);
}

/** Tells a partner of the end of the trust, if it is still to be told and was not told in vain a moment ago. */
export async function giveNotice(installation: Installation, partner: Partner, signal: AbortSignal): Promise<void> {
  const { store, view, clock, pool } = installation;
  const { uid, noticePending, updatedAt } = partner;
  if (!noticePending || signal.aborted || !isNoticeDue(partner, clock.now())) return;
  const failure = await tellEndOfTrustLate({ view, clock, policy: pool.policy(), partner, signal }, noticePending).then(
    () => undefined,
    toAllianceError,
  );
  const now = clock.now();
  if (!failure || isForgotten(failure) || now - updatedAt > taskLimits.noticeGiveUpMs)
    await store.partners.update(uid, { noticePending: null });
  else if (!signal.aborted) {
    const { code, errorName, message } = failure;
    await store.partners.recordError(uid, { at: now, code, name: errorName, message });
  }
}
