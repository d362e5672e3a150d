/**
 * attach: binds one connection to a session and gives it keys of its own (docs/protocol.md, section 3). Both roles, without sockets.
 * Both sides add a fresh X25519 key, so that stored session secrets open no recorded channel.
 */
import { randomBytes } from 'node:crypto';
import { AllianceError } from '../core/errors.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { createEphemeral } from '../crypto/x25519.ts';
import { type AttachContext, attachContext, attachMac, type ChannelSchedule, deriveChannelKeys } from './keys.ts';

/** Keys as one side uses them. */
export interface ChannelKeys {
  readonly sendKey: Buffer;
  readonly sendIv: Buffer;
  readonly receiveKey: Buffer;
  readonly receiveIv: Buffer;
}

export interface AttachRequestFields {
  readonly sid: Buffer;
  readonly epk: Buffer;
  readonly nonce: Buffer;
  readonly mac: Buffer;
}

export interface AttachResponseFields {
  readonly epk: Buffer;
  readonly nonce: Buffer;
  readonly mac: Buffer;
}

/** What stands for the TLS connection in the attach context when no binding was agreed. */
export const noBinding: Buffer = Buffer.alloc(32);

const refuse = (details: string): never => {
  throw new AllianceError('session_invalid', { details });
};

/** A key of low order is one more defect that gets the one answer. */
function sharedWith(ephemeral: ReturnType<typeof createEphemeral>, peer: Buffer): Buffer {
  try {
    return ephemeral.derive(peer);
  } catch (cause) {
    if (cause instanceof AllianceError && cause.errorName === 'ticket_refused')
      throw new AllianceError('session_invalid', { cause, details: 'The ephemeral key is of low order.' });
    throw cause;
  }
}

/** The initiator's half. `finish` is called once, with the response; `session_invalid` when it proves nothing. */
export function startAttach(
  secret: Buffer,
  context: AttachContext,
): { request: AttachRequestFields; finish: (response: AttachResponseFields) => ChannelKeys } {
  const ephemeral = createEphemeral();
  const nonce = randomBytes(32);
  const ctx = attachContext(context, ephemeral.publicKey, nonce);
  const mac = attachMac(secret, ctx);
  const finish = (response: AttachResponseFields): ChannelKeys => {
    if (response.epk.length !== 32 || response.nonce.length !== 32) refuse('The attach response is malformed.');
    const shared = sharedWith(ephemeral, response.epk);
    const schedule = deriveChannelKeys(shared, secret, ctx, mac, response.epk, response.nonce);
    if (!equalBytes(schedule.confirmation, response.mac))
      refuse('The responder did not prove that it holds the session.');
    return keysFor('initiator', schedule);
  };
  return { request: { sid: context.sid, epk: ephemeral.publicKey, nonce, mac }, finish };
}

/** The responder's half: `session_invalid` for a wrong mac, the same as for an unknown session. */
export function answerAttach(
  secret: Buffer,
  context: AttachContext,
  request: AttachRequestFields,
): { response: AttachResponseFields; keys: ChannelKeys } {
  if (request.epk.length !== 32 || request.nonce.length !== 32) refuse('The attach request is malformed.');
  const ctx = attachContext(context, request.epk, request.nonce);
  if (!equalBytes(attachMac(secret, ctx), request.mac)) refuse('The attach mac is wrong.');
  const ephemeral = createEphemeral();
  const nonce = randomBytes(32);
  const shared = sharedWith(ephemeral, request.epk);
  const schedule = deriveChannelKeys(shared, secret, ctx, request.mac, ephemeral.publicKey, nonce);
  return {
    response: { epk: ephemeral.publicKey, nonce, mac: schedule.confirmation },
    keys: keysFor('responder', schedule),
  };
}

function keysFor(side: 'initiator' | 'responder', s: ChannelSchedule): ChannelKeys {
  return side === 'initiator'
    ? { sendKey: s.initiatorKey, sendIv: s.initiatorIv, receiveKey: s.responderKey, receiveIv: s.responderIv }
    : { sendKey: s.responderKey, sendIv: s.responderIv, receiveKey: s.initiatorKey, receiveIv: s.initiatorIv };
}
