/** The responder's part of the handshake, in the order of docs/protocol.md, section 2: nothing is signed for a stranger. */
import { answerRequest, proofHolds, type ReadRequest, readRequest, verifyRequest } from '../../channel/handshake.ts';
import { mayAttach } from '../../channel/permissions.ts';
import { fromTicket, toStored, toTicket } from '../../client/session.ts';
import { partnerConfig } from '../../core/config.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { newRequestId, type SessionId } from '../../core/ids.ts';
import { sessionLimits } from '../../core/limits.ts';
import type { Identity } from '../../crypto/identity.ts';
import { handshakeEntry } from '../../model/auditActs.ts';
import type { Partner } from '../../model/partner.ts';
import type { SessionTKT } from '../../wire/types.ts';
import type { Handler, InboundCall, ServerContext } from '../context.ts';
import { untilAfter } from './refusal.ts';

export const getSession: Handler<'getSession'> = async (context, argument, call) => {
  const request = readRequest(toTicket(argument));
  const { partner, identity } = await authenticate(context, request, call.startedAt);
  try {
    return await agree(context, request, { partner, identity }, call);
  } catch (thrown) {
    const { errorName: outcome } = toAllianceError(thrown);
    const facts = { outcome, attempt: request.payload.attempt, requestId: call.requestId };
    await context.store.audit.note(handshakeEntry('responder', partner.cloudId, facts));
    throw thrown;
  }
};

async function agree(
  context: ServerContext,
  request: ReadRequest,
  { partner, identity }: { partner: Partner; identity: Identity },
  call: InboundCall,
): Promise<SessionTKT> {
  const { store, view, clock, telemetry, log } = context;
  const state = view.stateOf(partner);
  if (!mayAttach(state)) throw new AllianceError('partner_not_active', { details: `${partner.cloudId} is ${state}.` });
  // Before the rate, so that nobody can spend it with a partner's old tickets.
  await refuseReplay(context, partner, request, call.startedAt);
  limitRate(context, partner);
  const { previousContinuity, usesGrant } = await followAttempt(context, partner, request);

  const { ticket, session } = await context.sign(() =>
    answerRequest(request, {
      identity,
      now: clock.now(),
      ...(previousContinuity && { previousContinuity }),
      ...(partner.trustTill !== null && { trustTill: partner.trustTill }),
    }),
  );
  const { attempt } = request.payload;
  const facts = { attempt, requestId: call.requestId, usesGrant };
  await store.sessions.insert(toStored(session, partner, 'responder'), facts);
  if (await store.partners.retireOldKey(partner.uid, session.partnerFingerprint)) {
    log.info({ partner: partner.cloudId }, 'The partner uses its new key; the old one is retired.');
    await view.refresh();
  }

  telemetry.handshake('in', session.attempt);
  log.info({ partner: partner.cloudId, attempt: session.attempt, requestId: call.requestId }, 'Session agreed.');
  return fromTicket(ticket);
}

/** Whoever cannot prove to be a partner gets one answer, `ticket_refused`, at one time after arrival, whatever was wrong. */
async function authenticate(
  { view, clock, telemetry, log }: ServerContext,
  request: ReadRequest,
  arrivedAt: number,
): Promise<{ partner: Partner; identity: Identity }> {
  try {
    const partner = view.partnerByCloudId(request.cloudId);
    const pins = partner ? view.pinsOf(partner) : [];
    const own = view.identities.map(({ identity }) => identity);
    const identity = await verifyRequest(request, pins, own, clock.now());
    if (!partner) throw new AllianceError('ticket_refused');
    return { partner, identity };
  } catch (thrown) {
    if (!(thrown instanceof AllianceError && thrown.errorName === 'ticket_refused')) throw thrown;
    telemetry.handshake('in', 'ticket_refused');
    log.info({ claimed: request.cloudId, err: thrown }, 'A ticket was refused.');
    await untilRefusalTime(arrivedAt);
    throw thrown;
  }
}

const untilRefusalTime = (arrivedAt: number): Promise<void> => untilAfter(arrivedAt, sessionLimits.refusalDelayMs);

function limitRate({ rates, config, clock }: ServerContext, { uid, cloudId }: Partner): void {
  const { handshakesPerS, handshakesBurst } = partnerConfig(config(), cloudId);
  const rate = { perS: handshakesPerS, burst: handshakesBurst };
  const retryAfterMs = rates.partners.take(`handshakes:${uid}`, rate, clock.now());
  if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs, details: 'Too many handshakes.' });
}

async function refuseReplay(
  { store, telemetry, log }: ServerContext,
  partner: Partner,
  { payload }: ReadRequest,
  arrivedAt: number,
): Promise<void> {
  if (await store.replays.insert(partner.cloudId, payload.jti, payload.iat + sessionLimits.replayMs)) return;
  telemetry.refusal('replay');
  log.warn({ partner: partner.cloudId }, 'Security: a ticket came a second time.');
  await untilRefusalTime(arrivedAt);
  throw new AllianceError('ticket_refused', { details: 'The ticket came a second time.' });
}

/** Continuity key to carry on, if the attempt proves to hold one, and whether the session needs the operator's permission instead. */
async function followAttempt(
  context: ServerContext,
  partner: Partner,
  { payload }: ReadRequest,
): Promise<{ readonly previousContinuity?: Buffer; readonly usesGrant: boolean }> {
  const { store, clock, log, telemetry } = context;
  const now = clock.now();
  if (payload.attempt === 'optimistic') {
    const sid = payload.prev.sid.toString('base64url') as SessionId;
    const previous = await store.sessions.findContinuity(partner.uid, 'responder', sid, now);
    if (!previous || !proofHolds(payload, previous.key)) throw new AllianceError('session_key_mismatch');
    return { previousContinuity: previous.key, usesGrant: false };
  }
  if (payload.attempt === 'fallback') await limitFallback(context, partner);
  if (!(await store.sessions.isKnown(partner.uid, 'responder', now))) return { usesGrant: false };

  telemetry.refusal('new_start');
  log.warn({ partner: partner.cloudId, attempt: payload.attempt }, 'Security: a partner with a session starts anew.');
  const { continuity } = partnerConfig(context.config(), partner.cloudId);
  if (continuity !== 'required') return { usesGrant: false };
  // Looked at here, before anything is signed, and used up with the session that is stored: what fails between costs no permission.
  const { continuityGrantedTill } = await store.partners.get(partner.uid);
  if (continuityGrantedTill === null || continuityGrantedTill <= now) throw new AllianceError('continuity_required');
  return { usesGrant: true };
}

/** A lease that nobody gives back, so that it holds for every process of the broker and across restarts. */
async function limitFallback({ store }: ServerContext, { uid }: Partner): Promise<void> {
  const { fallbackEveryMs } = sessionLimits;
  if (await store.leases.acquire(`fallback-in:${uid}`, newRequestId(), fallbackEveryMs)) return;
  throw new AllianceError('rate_limited', { retryAfterMs: fallbackEveryMs, details: 'One fallback a minute.' });
}
