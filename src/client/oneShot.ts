/**
 * One call over a session that is kept nowhere: to tell a partner of the end of a trust, when the pool no longer speaks to it and its
 * sessions are deleted.
 */
import { startSession } from '../channel/handshake.ts';
import type { Clock } from '../core/clock.ts';
import { parseEndpoint } from '../core/endpoint.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { equalBytes } from '../crypto/bytes.ts';
import type { Partner } from '../model/partner.ts';
import type { Contract, MethodName } from '../wire/methods.ts';
import { attachChannel } from './channel.ts';
import { ClientConnection } from './connection.ts';
import { dial } from './dial.ts';
import type { DialPolicy } from './dialPolicy.ts';
import { fromTicket, toStored, toTicket } from './session.ts';
import type { TrustView } from './trustView.ts';

export interface OneShotOptions {
  readonly view: TrustView;
  readonly clock: Clock;
  readonly policy: DialPolicy;
  readonly partner: Partner;
  readonly timeoutMs: number;
  /** Ends the call at once. */
  readonly signal?: AbortSignal;
}

/**
 * Tries the partner's endpoints in order; throws the last failure, or what the partner refused for good. After the end of `signal`, that
 * is a failure of the connection.
 */
export async function callOnce<M extends MethodName>(
  options: OneShotOptions,
  method: M,
  argument: Contract[M]['args'],
): Promise<Contract[M]['result']> {
  let failure: unknown = new AllianceError('unreachable', { details: `${options.partner.cloudId} has no endpoints.` });
  for (const endpoint of options.partner.endpoints) {
    if (options.signal?.aborted) break;
    try {
      return await callAt(options, endpoint, method, argument);
    } catch (thrown) {
      const error = toAllianceError(thrown);
      if (error.remote && !error.retryable) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function callAt<M extends MethodName>(
  options: OneShotOptions,
  endpoint: string,
  method: M,
  argument: Contract[M]['args'],
): Promise<Contract[M]['result']> {
  const { view, policy, partner, timeoutMs, signal } = options;
  const fingerprints = view.pinsOf(partner).map((pin) => pin.fingerprint);
  fingerprints.reverse();
  const end = signal && { signal };
  const dialled = await dial({ endpoint: parseEndpoint(endpoint), policy, pins: fingerprints, timeoutMs, ...end });
  const connection = new ClientConnection(dialled);
  try {
    await openChannel(connection, options);
    return await connection.call(method, argument, { timeoutMs });
  } finally {
    connection.close();
  }
}

async function openChannel(
  connection: ClientConnection,
  { view, clock, partner, timeoutMs }: OneShotOptions,
): Promise<void> {
  const pins = view.pinsOf(partner).reverse();
  const { dialled } = connection;
  try {
    const key = pins.find((pin) => dialled.fingerprint && equalBytes(pin.fingerprint, dialled.fingerprint)) ?? pins[0];
    if (!key) throw new AllianceError('pin_mismatch', { details: `${partner.cloudId} has no valid key.` });
    const identity = view.identityFor(partner);
    const request = await startSession({
      identity,
      partner: { cloudId: partner.cloudId, key },
      attempt: 'bootstrap',
      now: clock.now(),
    });
    const answer = await connection.call('getSession', fromTicket(request.ticket), { timeoutMs });
    const session = toStored(await request.finish(toTicket(answer), clock.now()), partner, 'initiator');
    await attachChannel({ connection, session, partner, identity, clock });
  } catch (thrown) {
    const error = toAllianceError(thrown);
    // Refusals of a handshake are not signed: only the TLS with the pinned key says who sent them.
    if (!error.remote || dialled.fingerprint) throw error;
    throw new AllianceError('unreachable', { details: 'A refusal over plain TCP, of whomever.', cause: error });
  }
}
