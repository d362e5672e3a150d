import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../src/core/errors.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { MessageType, readArgument, readMessage, readOutcome } from '../../src/wire/messages.ts';
import { type MethodName, methodNames } from '../../src/wire/methods.ts';
import { argumentsOf, resultsOf } from '../support/contract.ts';
import { callFrame, frameOf, replyFrame } from '../support/wireFrame.ts';

/** Decodes, or throws anything but a typed error. */
function survive(body: Buffer, method: MethodName): 'decoded' | 'refused' {
  const reader = new CompactReader();
  reader.reset(body);
  try {
    const { type } = readMessage(reader);
    if (type === MessageType.call || type === MessageType.oneway) readArgument(reader, method);
    else readOutcome(reader, method);
    return 'decoded';
  } catch (error) {
    if (!(error instanceof AllianceError)) throw error;
    if (!error.remote) expect(error.errorName).to.equal('wire_malformed');
    return 'refused';
  }
}

describe('damaged messages', () => {
  const messages = fc.constantFrom(...methodNames).chain((method) =>
    fc
      .oneof(
        argumentsOf(method).map((argument) => callFrame(method, 1, argument)),
        resultsOf(method).map((value) => replyFrame(method, 1, value)),
      )
      .map((frame) => ({ method, body: frame.subarray(4) })),
  );

  it('are refused when cut off at any byte', () => {
    fc.assert(
      fc.property(messages, ({ method, body }) => {
        for (let length = 0; length < body.length; length++)
          expect(survive(Buffer.from(body.subarray(0, length)), method), `cut to ${length}`).to.equal('refused');
      }),
      { numRuns: 150 },
    );
  });

  it('decode or are refused with any bit flipped', () => {
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.nat()), ({ method, body }, offsets) => {
        const bits = body.length * 8;
        for (let i = 0; i < Math.min(bits, 600); i++) {
          const bit = bits <= 600 ? i : (offsets.next().value as number) % bits;
          const flipped = Buffer.from(body);
          flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
          survive(flipped, method);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('decode or are refused when they are noise behind a valid head', () => {
    fc.assert(
      fc.property(fc.constantFrom(...methodNames), fc.uint8Array({ maxLength: 64 }), (method, noise) => {
        const head = frameOf((w) => w.writeMessageBegin(method, MessageType.call, 1));
        survive(Buffer.concat([head, noise]), method);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused with anything behind them', () => {
    fc.assert(
      fc.property(messages, fc.uint8Array({ minLength: 1, maxLength: 4 }), ({ method, body }, more) => {
        expect(survive(Buffer.concat([body, more]), method)).to.equal('refused');
      }),
    );
  });
});
