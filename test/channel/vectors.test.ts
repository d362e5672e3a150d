/** The files that other implementations are checked against: this one makes them byte for byte, and reads them. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { proofHolds, readRequest, verifyRequest } from '../../src/channel/handshake.ts';
import { decodeInvitation } from '../../src/channel/invitation.ts';
import { attachContext, attachMac, deriveChannelKeys, deriveSessionKeys } from '../../src/channel/keys.ts';
import { invitationKey } from '../../src/channel/pairing.ts';
import { fromBase64url } from '../../src/crypto/bytes.ts';
import { readCertificate } from '../../src/crypto/certificate.ts';
import { verificationCode } from '../../src/crypto/crockford.ts';
import { FrameOpener, FrameSealer } from '../../src/crypto/frames.ts';
import { type SignatureAlgorithm, verifyCompact } from '../../src/crypto/jws.ts';
import { sharedSecret } from '../../src/crypto/x25519.ts';
import { rejection } from '../support/errors.ts';
import { projectPath } from '../support/project.ts';
import { rawPrivateKey } from '../support/randomness.ts';
import type { SignatureVector } from '../support/vectorSignatures.ts';
import { makeVectors, type VectorName, type Vectors, vectorIdentity } from '../support/vectors.ts';

type Text = Record<string, string>;
interface TicketsFile {
  readonly time: number;
  readonly sessions: readonly { request: Text; answer: Text; previous: Text | null }[];
  readonly signatures: readonly SignatureVector[];
}
interface ScheduleFile {
  readonly sessions: readonly Text[];
  readonly attaches: readonly (Text & { initiator: Text; responder: Text })[];
}
interface FramesFile {
  readonly directions: readonly { key: string; iv: string; frames: readonly { plaintext: string; frame: string }[] }[];
}

const read = <T>(name: VectorName): T =>
  JSON.parse(readFileSync(projectPath('test', 'vectors', `${name}.json`), 'utf8')) as T;
const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'hex');

describe('vectors', () => {
  let made: Vectors;
  before(async () => {
    made = await makeVectors();
  });

  for (const name of ['key-schedule', 'frames', 'pairing', 'hints'] as const)
    it(`${name}.json is made again byte for byte`, () => {
      expect(made[name]).to.deep.equal(read(name));
    });

  it('tickets.json is made again byte for byte, but for the signatures that are random', () => {
    const { signatures, ...rest } = read<TicketsFile>('tickets');
    expect(made.tickets).to.deep.equal(rest);
    expect(signatures.map(({ algorithm }) => algorithm)).to.deep.equal(['PS256', 'ES256', 'EdDSA']);
  });

  it('the tickets are accepted', async () => {
    const [east, west] = [await vectorIdentity('east'), await vectorIdentity('west')];
    const pin = {
      fingerprint: east.fingerprint,
      algorithm: east.algorithm,
      publicKey: east.certificate.publicKey,
    };
    for (const { request, previous } of read<TicketsFile>('tickets').sessions) {
      const ticket = {
        cloudId: request.cloud_id!,
        signature: request.signature!,
        pkiData: request.pki_data!,
      };
      const readTicket = readRequest(ticket);
      expect(await verifyRequest(readTicket, [pin], [west], read<TicketsFile>('tickets').time)).to.equal(west);
      const { payload } = readTicket;
      expect(payload.attempt === 'optimistic').to.equal(previous !== null);
      if (payload.attempt !== 'optimistic') continue;
      expect(payload.prev.sid.toString('hex')).to.equal(previous?.sid);
      expect(proofHolds(payload, bytes(previous?.continuity))).to.equal(true);
      expect(proofHolds(payload, Buffer.alloc(32))).to.equal(false);
    }
  });

  it('a signature of each algorithm verifies, with its own key and use only', async () => {
    const { signatures } = read<TicketsFile>('tickets');
    for (const { algorithm, certificate_der: der, fp, jws } of signatures) {
      const facts = readCertificate(bytes(der));
      expect(facts.fingerprint.toString('hex')).to.equal(fp);
      expect(facts.algorithm).to.equal(algorithm);
      const pin = { key: facts.certificate.publicKey, algorithm: algorithm as SignatureAlgorithm };
      const payload = await verifyCompact(jws, { ...pin, use: 'alliance-request' });
      expect(payload.equals(fromBase64url(jws.split('.')[1]!))).to.equal(true);
      await rejection(verifyCompact(jws, { ...pin, use: 'alliance-answer' }), 'ticket_refused');
    }
  });

  it('the key schedule of sessions follows from its inputs', () => {
    for (const session of read<ScheduleFile>('key-schedule').sessions) {
      const ownKey = rawPrivateKey('x25519', bytes(session.initiator_ephemeral_private));
      const ss = sharedSecret(ownKey, bytes(session.responder_epk));
      const peerKey = rawPrivateKey('x25519', bytes(session.responder_ephemeral_private));
      expect(sharedSecret(peerKey, bytes(session.initiator_epk)).equals(ss)).to.equal(true);
      const continuity = session.attempt === 'optimistic' ? bytes(session.c) : undefined;
      const keys = deriveSessionKeys(ss, continuity, session.request_jws!, session.answer_jws!);
      expect(keys.secret.toString('hex')).to.equal(session.secret);
      expect(keys.continuity.toString('hex')).to.equal(session.continuity);
    }
  });

  it('the key schedule of channels follows from its inputs', () => {
    for (const attach of read<ScheduleFile>('key-schedule').attaches) {
      const side = ({ cloud_id: cloudId, fp }: Text) => ({ cloudId: cloudId!, fingerprint: bytes(fp) });
      const context = {
        sid: bytes(attach.sid),
        initiator: side(attach.initiator),
        responder: side(attach.responder),
        binding: bytes(attach.cb),
      };
      const ctx = attachContext(context, bytes(attach.epk_I), bytes(attach.nonce_I));
      expect(ctx.toString('hex')).to.equal(attach.ctx);
      const mac = attachMac(bytes(attach.secret), ctx);
      expect(mac.toString('hex')).to.equal(attach.mac_I);
      const ownKey = rawPrivateKey('x25519', bytes(attach.initiator_ephemeral_private));
      const schedule = deriveChannelKeys(
        sharedSecret(ownKey, bytes(attach.epk_R)),
        bytes(attach.secret),
        ctx,
        mac,
        bytes(attach.epk_R),
        bytes(attach.nonce_R),
      );
      const { initiatorKey, initiatorIv, responderKey, responderIv, confirmation } = schedule;
      const names = ['key_I', 'iv_I', 'key_R', 'iv_R', 'mac_R'];
      const values = [initiatorKey, initiatorIv, responderKey, responderIv, confirmation];
      expect(values.map((value) => value.toString('hex'))).to.deep.equal(names.map((name) => attach[name]));
    }
  });

  it('the frames open in their order, and seal to the same bytes', () => {
    const schedule = read<ScheduleFile>('key-schedule').attaches[0]!;
    const { directions } = read<FramesFile>('frames');
    expect(directions.map(({ key }) => key)).to.deep.equal([schedule.key_I, schedule.key_R]);
    for (const { key, iv, frames } of directions) {
      const opener = new FrameOpener(bytes(key), bytes(iv));
      const sealer = new FrameSealer(bytes(key), bytes(iv));
      for (const { plaintext, frame } of frames) {
        expect(opener.open(bytes(frame).subarray(4)).toString('hex')).to.equal(plaintext);
        expect(sealer.seal(bytes(plaintext)).toString('hex')).to.equal(frame);
      }
    }
  });

  it('the invitation is read, and its code is the one of its bytes', () => {
    const pairing = read<Text & { invitation: Text & { exp: number } }>('pairing');
    const { token, id, secret, fp, exp } = pairing.invitation;
    const invitation = decodeInvitation(token!);
    expect(invitation.id.toString('hex')).to.equal(id);
    expect(invitation.secret.toString('hex')).to.equal(secret);
    expect(invitation.fingerprint.toString('hex')).to.equal(fp);
    expect(invitation.expiresAt).to.equal(exp);
    expect(invitationKey(invitation.secret, invitation.id).toString('hex')).to.equal(pairing.kp);
    expect(verificationCode(bytes(pairing.code_bytes))).to.equal(pairing.code);
  });
});
