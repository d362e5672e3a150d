/**
 * Makes the vectors of docs/protocol.md: runs the state machines of src/channel and the hints of src/token with chosen randomness, and computes every value in
 * between a second time, from the page's formulas and node:crypto alone.
 */
import { createHash, createHmac, createPublicKey, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto';
import { answerAttach, noBinding, startAttach } from '../../src/channel/attach.ts';
import { answerRequest, readRequest, startSession } from '../../src/channel/handshake.ts';
import { encodeInvitation } from '../../src/channel/invitation.ts';
import { answerOpen, invitationKey, startPairing } from '../../src/channel/pairing.ts';
import type { Attempt, Ticket } from '../../src/channel/tickets.ts';
import type { CloudId, PartnerUid } from '../../src/core/ids.ts';
import { FrameSealer } from '../../src/crypto/frames.ts';
import { type Identity, loadIdentity } from '../../src/crypto/identity.ts';
import type { Partner } from '../../src/model/partner.ts';
import { Hints } from '../../src/token/hints.ts';
import { pseudonymsOf } from '../../src/token/revocation/pseudonyms.ts';
import { makeCertificate, toPem } from './certificate.ts';
import { labelled, rawPrivateKey, withRandomness } from './randomness.ts';
import { callFrame, replyFrame } from './wireFrame.ts';

/** Time of every vector: 2030-01-01. */
export const vectorTime = Date.UTC(2030, 0, 1);

type Json = string | number | null | boolean | Json[] | { [name: string]: Json };
export type VectorName = 'tickets' | 'key-schedule' | 'frames' | 'pairing' | 'hints';
export type Vectors = Record<VectorName, { [name: string]: Json }>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const sha256 = (...parts: (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const hmac = (key: Buffer, ...parts: (Uint8Array | string)[]): Buffer => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};
const kdf = (ikm: Buffer, salt: Buffer | string, info: (Buffer | string)[], n: number): Buffer =>
  Buffer.from(hkdfSync('sha256', ikm, salt, Buffer.concat(info.map((part) => Buffer.from(part as Buffer))), n));
const L = (x: Buffer | string): Buffer => {
  const body = Buffer.from(x as Buffer);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};
const x25519Public = (raw: Buffer): Buffer =>
  createPublicKey(rawPrivateKey('x25519', raw)).export({ type: 'spki', format: 'der' }).subarray(12);
const x25519 = (raw: Buffer, peerRaw: Buffer): Buffer =>
  diffieHellman({
    privateKey: rawPrivateKey('x25519', raw),
    publicKey: createPublicKey(rawPrivateKey('x25519', peerRaw)),
  });

/** An Ed25519 identity that depends on its cloud_id only. */
export async function vectorIdentity(cloudId: string): Promise<Identity> {
  const privateKey = rawPrivateKey('ed25519', labelled(`identity ${cloudId}`, 32));
  return identityOf(cloudId, privateKey);
}

async function identityOf(cloudId: string, privateKey: KeyObject): Promise<Identity> {
  const { der } = await withRandomness(`certificate ${cloudId}`, () => ({
    der: makeCertificate({ privateKey, commonNames: [cloudId], notBefore: vectorTime - 86_400_000 }),
  }));
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return loadIdentity({ cloudId: cloudId as CloudId, keyPem, certificatePem: toPem(der) });
}

const ticketJson = ({ cloudId, signature, pkiData }: Ticket): Json => ({
  cloud_id: cloudId,
  signature,
  pki_data: pkiData,
});
export const jwsOf = ({ signature, pkiData }: Ticket): string => signature.replace('..', `.${pkiData}.`);

const pinOf = (identity: Identity) => ({
  fingerprint: identity.fingerprint,
  algorithm: identity.algorithm,
  publicKey: identity.certificate.publicKey,
});

interface SessionRun {
  readonly ticket: { [name: string]: Json };
  readonly schedule: { [name: string]: Json };
  readonly sid: Buffer;
  readonly secret: Buffer;
  readonly continuity: Buffer;
}

async function sessionRun(
  initiator: Identity,
  responder: Identity,
  attempt: Attempt,
  previous?: { sid: Buffer; continuity: Buffer },
): Promise<SessionRun> {
  const now = vectorTime;
  const answeredAt = now + 25;
  const asked = await withRandomness(`${attempt} request`, () =>
    startSession({
      identity: initiator,
      partner: { cloudId: responder.cloudId, key: pinOf(responder) },
      attempt,
      ...(previous && { previous }),
      now,
    }),
  );
  const request = readRequest(asked.ticket);
  const answered = await withRandomness(`${attempt} answer`, () =>
    answerRequest(request, {
      identity: responder,
      now: answeredAt,
      ...(previous && { previousContinuity: previous.continuity }),
    }),
  );
  const session = await asked.finish(answered.ticket, answeredAt + 25);

  const [ownPrivate, peerPrivate] = [asked.drawn.x25519[0]!, answered.drawn.x25519[0]!];
  const ss = x25519(ownPrivate, peerPrivate);
  const th = sha256('alliance/1 session', L(jwsOf(asked.ticket)), L(jwsOf(answered.ticket)));
  const salt = previous?.continuity ?? Buffer.alloc(32);
  const secret = kdf(ss, salt, ['alliance/1 secret', th], 32);
  const continuity = kdf(ss, salt, ['alliance/1 continuity', th], 32);
  if (!secret.equals(session.secret) || !continuity.equals(session.continuity))
    throw new Error(`${attempt}: the page and the code derive other keys.`);
  return {
    ticket: {
      attempt,
      request: ticketJson(asked.ticket),
      request_payload: Buffer.from(asked.ticket.pkiData, 'base64url').toString(),
      answer: ticketJson(answered.ticket),
      answer_payload: Buffer.from(answered.ticket.pkiData, 'base64url').toString(),
      initiator_ephemeral_private: hex(ownPrivate),
      responder_ephemeral_private: hex(peerPrivate),
      previous: previous ? { sid: hex(previous.sid), continuity: hex(previous.continuity) } : null,
    },
    schedule: {
      attempt,
      initiator_ephemeral_private: hex(ownPrivate),
      initiator_epk: hex(x25519Public(ownPrivate)),
      responder_ephemeral_private: hex(peerPrivate),
      responder_epk: hex(x25519Public(peerPrivate)),
      request_jws: jwsOf(asked.ticket),
      answer_jws: jwsOf(answered.ticket),
      c: hex(salt),
      ss: hex(ss),
      th: hex(th),
      sid: hex(session.sid),
      secret: hex(secret),
      continuity: hex(continuity),
    },
    sid: session.sid,
    secret,
    continuity,
  };
}

async function attachRun(initiator: Identity, responder: Identity, session: SessionRun, binding: Buffer) {
  const name = binding === noBinding ? 'none' : 'exporter';
  const context = {
    sid: session.sid,
    initiator: { cloudId: initiator.cloudId, fingerprint: initiator.fingerprint },
    responder: { cloudId: responder.cloudId, fingerprint: responder.fingerprint },
    binding,
  };
  const started = await withRandomness(`attach ${name} request`, () => startAttach(session.secret, context));
  const { request } = started;
  const answered = await withRandomness(`attach ${name} response`, () =>
    answerAttach(session.secret, context, request),
  );
  const keys = started.finish(answered.response);
  const ctx = Buffer.concat([
    Buffer.from('alliance/1 attach'),
    session.sid,
    L(initiator.cloudId),
    L(responder.cloudId),
    initiator.fingerprint,
    responder.fingerprint,
    binding,
    request.epk,
    request.nonce,
  ]);
  const macI = hmac(kdf(session.secret, '', ['alliance/1 attach key'], 32), ctx);
  const ta = sha256(L(ctx), macI, answered.response.epk, answered.response.nonce);
  const [ownPrivate, peerPrivate] = [started.drawn.x25519[0]!, answered.drawn.x25519[0]!];
  const ss = x25519(ownPrivate, peerPrivate);
  const K = kdf(ss, session.secret, ['alliance/1 channel', ta], 120);
  const macR = hmac(K.subarray(88), 'alliance/1 responder', ta);
  const derived = Buffer.concat([keys.sendKey, keys.sendIv, keys.receiveKey, keys.receiveIv]);
  if (!macI.equals(request.mac) || !macR.equals(answered.response.mac) || !derived.equals(K.subarray(0, 88)))
    throw new Error('attach: the page and the code derive other keys.');
  const json: { [name: string]: Json } = {
    binding: name,
    initiator: { cloud_id: initiator.cloudId, fp: hex(initiator.fingerprint) },
    responder: { cloud_id: responder.cloudId, fp: hex(responder.fingerprint) },
    sid: hex(session.sid),
    secret: hex(session.secret),
    cb: hex(binding),
    initiator_ephemeral_private: hex(ownPrivate),
    responder_ephemeral_private: hex(peerPrivate),
    epk_I: hex(request.epk),
    nonce_I: hex(request.nonce),
    ctx: hex(ctx),
    mac_I: hex(macI),
    epk_R: hex(answered.response.epk),
    nonce_R: hex(answered.response.nonce),
    ta: hex(ta),
    ss: hex(ss),
    key_I: hex(K.subarray(0, 32)),
    iv_I: hex(K.subarray(32, 44)),
    key_R: hex(K.subarray(44, 76)),
    iv_R: hex(K.subarray(76, 88)),
    confirm: hex(K.subarray(88)),
    mac_R: hex(macR),
  };
  return { json, keys };
}

function frameRun(side: string, key: Buffer, iv: Buffer, plaintexts: Buffer[]): { [name: string]: Json } {
  const sealer = new FrameSealer(key, iv);
  const frames = plaintexts.map((plaintext, counter) => ({
    counter,
    plaintext: hex(plaintext),
    frame: hex(sealer.seal(plaintext)),
  }));
  return { from: side, key: hex(key), iv: hex(iv), frames };
}

async function pairingRun(acceptor: Identity, inviter: Identity): Promise<{ [name: string]: Json }> {
  const invitation = {
    id: labelled('invitation id', 16),
    secret: labelled('invitation secret', 32),
    cloudId: inviter.cloudId,
    fingerprint: inviter.fingerprint,
    endpoints: ['tls://west.example:9443', 'tcp://west.example:9441'],
    role: 'consumer' as const,
    expiresAt: vectorTime + 900_000,
  };
  const card = (identity: Identity, role: 'consumer' | 'provider', endpoint: string) => ({
    cloudId: identity.cloudId,
    certificate: identity.certificateDer,
    endpoints: [endpoint],
    role,
    binding: 'exporter' as const,
  });
  const accepting = await withRandomness('pairing acceptor', () =>
    startPairing({
      identity: acceptor,
      card: card(acceptor, 'provider', 'tls://east.example:9443'),
      invitation,
    }),
  );
  const inviting = await withRandomness('pairing inviter', () =>
    answerOpen({ identity: inviter, card: card(inviter, 'consumer', 'tls://west.example:9443') }, accepting.open),
  );
  const { proof, finish } = await accepting.prove(inviting.offer, inviter.fingerprint);
  const kp = invitationKey(invitation.secret, invitation.id);
  const { partner, sign } = await inviting.accept(proof, kp);
  const result = await sign();
  const { code } = await finish(result);

  const [rA, rB] = [accepting.drawn.bytes[0]!, inviting.drawn.bytes[0]!];
  const commitment = sha256('alliance/1 commit', rA, L(accepting.open.card));
  const tp = sha256(
    'alliance/1 pair',
    invitation.id,
    L(accepting.open.card),
    commitment,
    L(inviting.offer.card),
    rB,
    rA,
  );
  const pageKp = kdf(invitation.secret, invitation.id, ['alliance/1 pair'], 32);
  const codeBytes = kdf(pageKp, Buffer.concat([rA, rB]), ['alliance/1 code', tp], 8);
  const same =
    kp.equals(pageKp) &&
    commitment.equals(accepting.open.commitment) &&
    hmac(kp, 'acceptor', tp).equals(proof.mac) &&
    hmac(kp, 'inviter', tp).equals(result.mac) &&
    code === partner.code;
  if (!same) throw new Error('pairing: the page and the code differ.');
  return {
    invitation: {
      token: encodeInvitation(invitation),
      id: hex(invitation.id),
      secret: hex(invitation.secret),
      cloud_id: invitation.cloudId,
      fp: hex(invitation.fingerprint),
      endpoints: invitation.endpoints,
      role: invitation.role,
      exp: invitation.expiresAt,
    },
    kp: hex(kp),
    r_A: hex(rA),
    card_A: accepting.open.card.toString(),
    commitment: hex(commitment),
    r_B: hex(rB),
    card_B: inviting.offer.card.toString(),
    tp: hex(tp),
    acceptor_jws: proof.signature,
    acceptor_mac: hex(proof.mac),
    inviter_jws: result.signature,
    inviter_mac: hex(result.mac),
    code_bytes: hex(codeBytes),
    code,
  };
}

/** `asker` met the token, and asks whether `asked` knows it. */
function hintRun(token: string, asker: Identity, asked: Identity): Json {
  const partner = { uid: asker.cloudId as string as PartnerUid, cloudId: asker.cloudId } as Partner;
  const view = { cloudId: asked.cloudId, partnerByUid: () => partner, stateOf: () => 'active' as const };
  const hints = new Hints({ view, clock: { now: () => vectorTime } });
  hints.learn({ token, expiresAt: vectorTime + 1, auditId: undefined }, 'issued');
  const nonce = labelled(`claim ${token}`, 32);
  const key = sha256('alliance/1 token', token);
  const hint = hmac(key, 'alliance/1 hint', L(asker.cloudId), L(asked.cloudId));
  const proof = hmac(key, 'alliance/1 claim', nonce, L(asker.cloudId), L(asked.cloudId));
  if (!hints.prove(hint, nonce, partner)?.equals(proof)) throw new Error('hints: the page and the code differ.');
  return {
    token,
    asker: asker.cloudId,
    asked: asked.cloudId,
    key: hex(key),
    hint: hex(hint),
    nonce: hex(nonce),
    proof: hex(proof),
  };
}

/** An id as `asked` tells it to `asker`. */
function idRun(id: string, asker: Identity, asked: Identity): Json {
  const pseudonym = sha256('alliance/1 revocation', L(asker.cloudId), L(asked.cloudId), id).subarray(0, 16);
  const text = pseudonym.toString('base64url');
  if (pseudonymsOf(asker.cloudId, asked.cloudId)(id) !== text) throw new Error('ids: the page and the code differ.');
  return { id, asker: asker.cloudId, asked: asked.cloudId, pseudonym: text };
}

const identityJson = (identity: Identity): Json => ({
  cloud_id: identity.cloudId,
  algorithm: identity.algorithm,
  private_key_pem: identity.keyPem,
  certificate_der: hex(identity.certificateDer),
  fp: hex(identity.fingerprint),
});

/** All but the signatures of RSA and P-256, which are other bytes every time. */
export async function makeVectors(): Promise<Vectors> {
  const east = await vectorIdentity('east');
  const west = await vectorIdentity('west');
  const bootstrap = await sessionRun(east, west, 'bootstrap');
  const optimistic = await sessionRun(east, west, 'optimistic', bootstrap);
  const fallback = await sessionRun(east, west, 'fallback');
  const plain = await attachRun(east, west, optimistic, noBinding);
  const bound = await attachRun(east, west, optimistic, labelled('exporter value', 32));

  const ping = callFrame('ping', 1, { cloud_id: 'east', request_data: 'hello' });
  const another = callFrame('ping', 2, { cloud_id: 'east', request_data: '' });
  const pairing = callFrame('getPairing', 3, undefined);
  const pong = (seqid: number) => replyFrame('ping', seqid, { cloud_id: 'west', response_data: 'pong' });
  const { keys } = plain;
  return {
    tickets: {
      time: vectorTime,
      identities: [identityJson(east), identityJson(west)],
      sessions: [bootstrap.ticket, optimistic.ticket, fallback.ticket],
    },
    'key-schedule': {
      sessions: [bootstrap.schedule, optimistic.schedule, fallback.schedule],
      attaches: [plain.json, bound.json],
    },
    frames: {
      directions: [
        frameRun('initiator', keys.sendKey, keys.sendIv, [ping, Buffer.concat([another, pairing])]),
        frameRun('responder', keys.receiveKey, keys.receiveIv, [pong(1), pong(2), Buffer.concat([pong(4), pong(3)])]),
      ],
    },
    pairing: await pairingRun(east, west),
    hints: {
      tokens: [hintRun('gAAAAABnZXN0ZXJu', east, west), hintRun('eyJhbGciOiJFUzI1NiJ9.e30.c2ln', west, east)],
      ids: [idRun('0ca8f6de1b0f4f0f8e1a6d2f3c4b5a69', east, west), idRun('Jürgen Doe', west, east)],
    },
  };
}
