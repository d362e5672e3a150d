import { expect } from 'chai';
import fc from 'fast-check';
import { wireLimits } from '../../src/core/limits.ts';
import { FrameDecoder } from '../../src/wire/frames.ts';
import { refusal } from '../support/errors.ts';

function framed(...bodies: (Uint8Array | string)[]): Buffer {
  const parts = bodies.flatMap((body) => {
    const bytes = Buffer.from(body);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(bytes.length);
    return [header, bytes];
  });
  return Buffer.concat(parts);
}

const header = (sizeBytes: number): Buffer =>
  Buffer.from([sizeBytes >>> 24, sizeBytes >>> 16, sizeBytes >>> 8, sizeBytes]);

describe('FrameDecoder', () => {
  it('gives the same frames in order, however the stream is cut and wherever the consumer stops', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 });
    const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 });
    const stops = fc.array(fc.boolean(), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(bodies, cuts, stops, fc.boolean(), fc.boolean(), (sent, lengths, stopAt, late, borrows) => {
        const stream = framed(...sent);
        const decoder = new FrameDecoder({ maxBytes: 40, borrows });
        const seen: string[] = [];
        const onFrame = (body: Buffer): boolean => {
          seen.push(body.toString('hex'));
          return !stopAt[seen.length - 1];
        };
        const drain = (): void => {
          while (decoder.stopped) decoder.resume(onFrame);
        };
        for (let at = 0, i = 0; at < stream.length; i++) {
          const length = lengths[i % lengths.length] ?? 1;
          const chunk = Buffer.from(stream.subarray(at, at + length));
          decoder.push(chunk, onFrame);
          if (borrows) chunk.fill(0xff);
          at += length;
          if (!late) drain();
        }
        drain();
        expect(seen).to.deep.equal(sent.map((body) => Buffer.from(body).toString('hex')));
        expect(decoder.heldBytes).to.equal(0);
      }),
      { numRuns: 500 },
    );
  });

  it('copies no frame that lies within one chunk', () => {
    const chunk = framed('first', 'second');
    const frames: Buffer[] = [];
    new FrameDecoder({ maxBytes: 10 }).push(chunk, (body) => void frames.push(body));
    expect(frames.map(String)).to.deep.equal(['first', 'second']);
    for (const frame of frames) expect(frame.buffer).to.equal(chunk.buffer);
  });

  it('allocates the frame that is spread over chunks, once, and little more', () => {
    const body = Buffer.alloc(300_000, 7);
    const stream = framed(body, 'next');
    const decoder = new FrameDecoder({ maxBytes: 300_000 });
    const frames: Buffer[] = [];
    for (let at = 0; at < stream.length; at += 65_536)
      decoder.push(stream.subarray(at, at + 65_536), (frame) => void frames.push(frame));
    expect(frames).to.have.length(2);
    expect(frames[0]?.equals(body)).to.equal(true);
    expect(frames[0]?.buffer.byteLength).to.be.at.most(300_000 + wireLimits.pooledStepBytes);
  });

  it('refuses a length that is zero, negative, too large or no length at all, before it allocates', () => {
    const { arrayBuffers } = process.memoryUsage();
    for (const [bytes, name] of [
      [header(0), 'wire_malformed'],
      [header(-4), 'wire_malformed'],
      [header(0x7fff_ffff), 'frame_too_large'],
      [header(101), 'frame_too_large'],
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'frame_too_large'],
      [Buffer.from('160301', 'hex'), undefined],
    ] as const) {
      const decoder = new FrameDecoder({ maxBytes: 100 });
      const push = (): void => decoder.push(bytes, () => expect.fail('a frame'));
      if (name === undefined) {
        push();
        refusal(() => decoder.push(Buffer.of(2), () => {}), 'frame_too_large');
      } else refusal(push, name);
      refusal(() => decoder.push(framed('good'), () => expect.fail('a frame')), name ?? 'frame_too_large');
      refusal(() => decoder.resume(() => expect.fail('a frame')), name ?? 'frame_too_large');
      expect(decoder.heldBytes).to.equal(0);
    }
    expect(process.memoryUsage().arrayBuffers - arrayBuffers).to.be.below(2 ** 20);
  });

  it('delivers the frames before a bad length', () => {
    const frames: string[] = [];
    const decoder = new FrameDecoder({ maxBytes: 100 });
    const chunk = Buffer.concat([framed('good'), header(0)]);
    refusal(() => decoder.push(chunk, (body) => void frames.push(body.toString())), 'wire_malformed');
    expect(frames).to.deep.equal(['good']);
  });

  it('takes a new maximum from the next frame on, within one chunk', () => {
    const raised = new FrameDecoder({ maxBytes: 4 });
    const frames: string[] = [];
    raised.push(framed('ping', 'a longer one'), (body) => {
      frames.push(body.toString());
      raised.maxBytes = 100;
    });
    expect(frames).to.deep.equal(['ping', 'a longer one']);

    const lowered = new FrameDecoder({ maxBytes: 100 });
    const onFrame = (): void => {
      lowered.maxBytes = 4;
    };
    refusal(() => lowered.push(framed('a longer one', 'a longer one'), onFrame), 'frame_too_large');
  });

  it('keeps what follows while stopped, and takes more', () => {
    const decoder = new FrameDecoder({ maxBytes: 10 });
    const seen: string[] = [];
    const one = (body: Buffer): boolean => {
      seen.push(body.toString());
      return false;
    };
    decoder.push(framed('a', 'b'), one);
    decoder.push(framed('c'), one);
    expect(seen).to.deep.equal(['a']);
    expect(decoder.stopped).to.equal(true);
    expect(decoder.heldBytes).to.equal(10);
    decoder.resume(one);
    decoder.resume(one);
    expect(seen).to.deep.equal(['a', 'b', 'c']);
    decoder.resume(one);
    expect(decoder.stopped).to.equal(false);
  });

  it('stays whole when the consumer throws: the frame is spent, the rest comes on resume', () => {
    const decoder = new FrameDecoder({ maxBytes: 10 });
    const fail = (): never => {
      throw new Error('handler');
    };
    expect(() => decoder.push(framed('a', 'b'), fail)).to.throw('handler');
    const seen: string[] = [];
    decoder.resume((body) => void seen.push(body.toString()));
    expect(seen).to.deep.equal(['b']);
  });
});
