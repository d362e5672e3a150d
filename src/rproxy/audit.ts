/** Audits between partners: each keeps signed heads of the other's, so that neither can shorten or rewrite its own unseen. */
import { readCheckpoint, signCheckpoint } from '../channel/checkpoint.ts';
import type { ClientPool } from '../client/pool.ts';
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { AuditHead, CheckpointAlarm } from '../model/audit.ts';
import type { Partner } from '../model/partner.ts';
import type { Store } from '../model/store.ts';
import { AuditCheckpoint } from '../wire/types.ts';

/** What both sides of an exchange work with. */
export interface AuditParty {
  readonly store: Store;
  readonly view: TrustView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
}

/** What we hold of a partner's audit. */
export async function heldOf({ store }: Pick<AuditParty, 'store'>, { uid }: Partner): Promise<AuditHead | null> {
  const held = (await store.audit.held()).find(({ partnerUid }) => partnerUid === uid);
  return held ? { seq: held.seq, hash: held.head } : null;
}

/**
 * `head`, which was verified, as our checkpoint for one partner, and `seen` of its audit. An answer says what was held before the question came, for that the
 * partner's audit leads to what it said itself is no news to it.
 */
export async function makeCheckpoint(
  { view }: Pick<AuditParty, 'view'>,
  partner: Partner,
  { head, seen }: { readonly head: AuditHead & { readonly at: number }; readonly seen: AuditHead | null },
): Promise<AuditCheckpoint> {
  return new AuditCheckpoint(await signCheckpoint(view.identityFor(partner), partner.cloudId, { ...head, seen }));
}

const warnings: Readonly<Record<CheckpointAlarm, string>> = {
  backwards: "Security: a partner's audit has lost records that it had shown to us.",
  forked: "Security: a partner's audit shows another history than before.",
  disputed: 'Security: a partner holds a record of OUR audit that is not there, or is another one.',
};

/**
 * Checks and keeps what a partner says of its audit. Throws `ticket_refused` unless the partner signed it for us and it follows the
 * one that we hold; an audit that went back or forked is an alarm. That the partner holds a head of ours that we do not have is one, too.
 */
export async function receiveCheckpoint(party: AuditParty, partner: Partner, message: AuditCheckpoint): Promise<void> {
  const { store, view, clock } = party;
  const { payload, signature } = message;
  const parties = { issuer: partner.cloudId, audience: view.cloudId, now: clock.now() };
  const { seq, hash: head, at, seen } = await readCheckpoint({ payload, signature }, view.pinsOf(partner), parties);
  const disputed = seen !== null && (await isDisputed(store, seen));
  const reception = await store.audit.receive(partner.uid, { seq, head, at, payload, signature }, disputed);
  if (reception === 'backwards' || reception === 'forked') await raise(party, partner, reception, seq);
  if (reception !== 'kept' && reception !== 'overtaken')
    throw new AllianceError('ticket_refused', { details: `The checkpoint of record ${seq} is ${reception}.` });
  if (disputed) await raise(party, partner, 'disputed', seen.seq);
}

/** Whether a head that was ours is ours no more. One that retention has removed, or a restore has skipped, cannot be compared. */
async function isDisputed(store: Store, seen: { readonly seq: number; readonly hash: Buffer }): Promise<boolean> {
  if (seen.seq > (await store.audit.head()).seq) return true;
  const own = await store.audit.hashOf(seen.seq);
  return own !== null && !own.equals(seen.hash);
}

async function raise(
  { store, log, telemetry }: AuditParty,
  { uid, cloudId }: Partner,
  alarm: CheckpointAlarm,
  seq: number,
): Promise<void> {
  telemetry.refusal('checkpoint');
  // A partner can say so as often as it likes.
  const isNews = await store.audit.note({
    kind: 'trust',
    actor: 'broker',
    partner: cloudId,
    subject: String(seq),
    outcome: `checkpoint_${alarm}`,
    rule: null,
    requestId: null,
    details: {},
  });
  if (!isNews) return;
  log.error({ partner: cloudId, seq }, warnings[alarm]);
  await store.audit.raiseAlarm(uid, alarm);
}

/** Tells a partner how far our audit has come, which is `head`, and keeps what it answers about its own. */
export async function exchangeCheckpoint(
  party: AuditParty & { readonly pool: ClientPool },
  partner: Partner,
  head: AuditHead & { readonly at: number },
): Promise<void> {
  const question = await makeCheckpoint(party, partner, { head, seen: await heldOf(party, partner) });
  const answer = await party.pool.call(partner, 'exchangeCheckpoint', question);
  await receiveCheckpoint(party, partner, answer);
}
