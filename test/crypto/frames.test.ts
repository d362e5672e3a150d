import { createCipheriv, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { wireLimits } from '../../src/core/limits.ts';
import { FrameOpener, FrameSealer, sealedType } from '../../src/crypto/frames.ts';
import { refusal } from '../support/errors.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const key = hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308');
const iv = hex('cafebabefacedbaddecaf888');
const noLimits = { frames: Number.MAX_SAFE_INTEGER, plaintextBytes: Number.MAX_SAFE_INTEGER };
const bodyOf = (frame: Buffer): Buffer => frame.subarray(4);

/** A frame by the words of the protocol alone, with whatever tag length, type and counter. */
function byHand(plaintext: Buffer, counter: bigint, { tagBytes = 16, type = 0xa1, aadLength = 0 } = {}): Buffer {
  const nonce = Buffer.from(iv);
  nonce.writeBigUInt64BE(iv.readBigUInt64BE(4) ^ counter, 4);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(1 + plaintext.length + tagBytes, 0);
  header[4] = type;
  const aad = Buffer.from(header);
  if (aadLength > 0) aad.writeUInt32BE(aadLength, 0);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad);
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

describe('frames', () => {
  it('seals as the protocol says, frame after frame', () => {
    const sealer = new FrameSealer(key, iv);
    for (const [counter, text] of ['a', 'second', 'x'.repeat(5000)].entries()) {
      const frame = sealer.seal(Buffer.from(text));
      expect(frame.equals(byHand(Buffer.from(text), BigInt(counter)))).to.equal(true);
      expect(frame.readUInt32BE(0)).to.equal(frame.length - 4);
      expect(frame[4]).to.equal(sealedType);
    }
    expect(sealer.frames).to.equal(3);
    expect(sealer.bytes).to.equal(5007);
  });

  it('opens what was sealed, in order, of any size', () => {
    const messages = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(messages, fc.uint8Array({ minLength: 12, maxLength: 12 }), (plaintexts, anyIv) => {
        const sealer = new FrameSealer(key, Buffer.from(anyIv));
        const opener = new FrameOpener(key, Buffer.from(anyIv));
        for (const plaintext of plaintexts) {
          const frame = sealer.seal(Buffer.from(plaintext));
          expect(opener.open(bodyOf(frame)).equals(plaintext)).to.equal(true);
        }
        expect(opener.frames).to.equal(plaintexts.length);
        expect(opener.bytes).to.equal(sealer.bytes);
      }),
    );
  });

  it('never seals the same plaintext to the same bytes', () => {
    const sealer = new FrameSealer(key, iv);
    const seen = new Set(Array.from({ length: 300 }, () => sealer.seal(Buffer.from('same')).toString('hex')));
    expect(seen.size).to.equal(300);
  });

  it('refuses every altered byte, truncation and addition', () => {
    const body = bodyOf(new FrameSealer(key, iv).seal(Buffer.from('hello world')));
    for (let at = 0; at < body.length; at++) {
      for (const mask of [1, 0x80]) {
        const altered = Buffer.from(body);
        altered[at]! ^= mask;
        refusal(() => new FrameOpener(key, iv).open(altered), 'wire_malformed');
      }
      refusal(() => new FrameOpener(key, iv).open(body.subarray(0, at)), 'wire_malformed');
    }
    refusal(() => new FrameOpener(key, iv).open(Buffer.concat([body, Buffer.from([0])])), 'wire_malformed');
    refusal(() => new FrameOpener(key, iv).open(body.subarray(1)), 'wire_malformed');
    expect(new FrameOpener(key, iv).open(body).toString()).to.equal('hello world');
  });

  for (let tagBytes = 4; tagBytes < 16; tagBytes++)
    if (tagBytes === 4 || tagBytes === 8 || tagBytes >= 12)
      it(`refuses a good tag of ${tagBytes} bytes`, () => {
        for (const size of [1, 20, 1000])
          refusal(
            () => new FrameOpener(key, iv).open(bodyOf(byHand(Buffer.alloc(size, 7), 0n, { tagBytes }))),
            'wire_malformed',
          );
      });

  it('refuses tags of 4 to 15 bytes cut off a good one', () => {
    const body = bodyOf(new FrameSealer(key, iv).seal(Buffer.from('hello world')));
    for (let tagBytes = 4; tagBytes < 16; tagBytes++)
      refusal(() => new FrameOpener(key, iv).open(body.subarray(0, body.length - 16 + tagBytes)), 'wire_malformed');
  });

  it('binds length and type', () => {
    const plaintext = Buffer.from('hello');
    refusal(() => new FrameOpener(key, iv).open(bodyOf(byHand(plaintext, 0n, { type: 0xa0 }))), 'wire_malformed');
    refusal(() => new FrameOpener(key, iv).open(bodyOf(byHand(plaintext, 0n, { aadLength: 23 }))), 'wire_malformed');
  });

  it('refuses frames out of order, replayed, left out, reflected and of other keys', () => {
    const sealer = new FrameSealer(key, iv);
    const [first, second, third] = ['1', '2', '3'].map((text) => bodyOf(sealer.seal(Buffer.from(text)))) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    const opened = (...bodies: Buffer[]): FrameOpener => {
      const opener = new FrameOpener(key, iv);
      for (const body of bodies) opener.open(body);
      return opener;
    };
    opened(first, second, third);
    refusal(() => opened(second), 'wire_malformed');
    refusal(() => opened(first, first), 'wire_malformed');
    refusal(() => opened(first, third), 'wire_malformed');
    refusal(() => opened(first, second, first), 'wire_malformed');
    const otherDirection = new FrameOpener(randomBytes(32), randomBytes(12));
    refusal(() => otherDirection.open(first), 'wire_malformed');
    refusal(() => new FrameOpener(key, randomBytes(12)).open(first), 'wire_malformed');
    refusal(() => new FrameOpener(randomBytes(32), iv).open(first), 'wire_malformed');
  });

  it('opens nothing any more after one failure, not even the frame that is due next', () => {
    const sealer = new FrameSealer(key, iv);
    const bodies = ['1', '2', '3'].map((text) => bodyOf(sealer.seal(Buffer.from(text))));
    for (const spoilt of [Buffer.from(bodies[0]!).fill(0, 1), Buffer.alloc(3), bodies[2]!]) {
      const opener = new FrameOpener(key, iv);
      refusal(() => opener.open(spoilt), 'wire_malformed');
      for (const body of bodies) refusal(() => opener.open(body), 'wire_malformed');
    }
  });

  it('has no frames without a message', () => {
    refusal(() => new FrameSealer(key, iv).seal(Buffer.alloc(0)), 'internal');
    refusal(() => new FrameOpener(key, iv).open(bodyOf(byHand(Buffer.alloc(0), 0n))), 'wire_malformed');
    refusal(() => new FrameOpener(key, iv).open(Buffer.alloc(0)), 'wire_malformed');
  });

  it('seals up to the size of a frame and refuses more without using a counter', () => {
    const largest = Buffer.alloc(wireLimits.sealedFrameBytes - 17);
    const sealer = new FrameSealer(key, iv);
    refusal(() => sealer.seal(Buffer.alloc(largest.length + 1)), 'frame_too_large');
    expect(sealer.frames).to.equal(0);
    const frame = sealer.seal(largest);
    expect(frame.readUInt32BE(0)).to.equal(wireLimits.sealedFrameBytes);
    expect(new FrameOpener(key, iv).open(bodyOf(frame)).equals(largest)).to.equal(true);
    const tooLarge = bodyOf(byHand(Buffer.alloc(largest.length + 1), 0n));
    refusal(() => new FrameOpener(key, iv).open(tooLarge), 'wire_malformed');
  });

  it('ends after as many frames as the channel may have, on both sides', () => {
    const limits = { ...noLimits, frames: 2 };
    const sealer = new FrameSealer(key, iv, limits);
    const opener = new FrameOpener(key, iv, limits);
    for (const text of ['1', '2']) opener.open(bodyOf(sealer.seal(Buffer.from(text))));
    expect(refusal(() => sealer.seal(Buffer.from('3')), 'connection_lost').details).to.match(/used up/);
    refusal(() => opener.open(bodyOf(byHand(Buffer.from('3'), 2n))), 'wire_malformed');
  });

  it('ends after as many bytes as the channel may carry, on both sides', () => {
    const limits = { ...noLimits, plaintextBytes: 10 };
    const sealer = new FrameSealer(key, iv, limits);
    const opener = new FrameOpener(key, iv, limits);
    opener.open(bodyOf(sealer.seal(Buffer.alloc(6))));
    refusal(() => sealer.seal(Buffer.alloc(5)), 'connection_lost');
    opener.open(bodyOf(sealer.seal(Buffer.alloc(4))));
    refusal(() => sealer.seal(Buffer.alloc(1)), 'connection_lost');
    refusal(() => opener.open(bodyOf(byHand(Buffer.alloc(1), 2n))), 'wire_malformed');
  });

  it('wipes its own keys on drop and leaves those of the caller', () => {
    const [callersKey, callersIv] = [Buffer.from(key), Buffer.from(iv)];
    const sealer = new FrameSealer(callersKey, callersIv);
    const opener = new FrameOpener(callersKey, callersIv);
    const frame = sealer.seal(Buffer.from('1'));
    sealer.drop();
    opener.drop();
    refusal(() => sealer.seal(Buffer.from('2')), 'connection_lost');
    refusal(() => opener.open(bodyOf(frame)), 'wire_malformed');
    expect(callersKey.equals(key) && callersIv.equals(iv)).to.equal(true);
  });

  it('does not depend on the buffers it was given', () => {
    const callersKey = Buffer.from(key);
    const sealer = new FrameSealer(callersKey, iv);
    callersKey.fill(0);
    expect(sealer.seal(Buffer.from('1')).equals(byHand(Buffer.from('1'), 0n))).to.equal(true);
  });

  it('takes keys of 32 and ivs of 12 bytes only', () => {
    expect(() => new FrameSealer(key.subarray(16), iv)).to.throw(RangeError);
    expect(() => new FrameOpener(key, key.subarray(16))).to.throw(RangeError);
  });
});
