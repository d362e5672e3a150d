import { expect } from 'chai';
import fc from 'fast-check';
import { Thrift } from 'thrift';
import { methods as structClasses } from '../../src/gen/AllianceService.js';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import {
  encodeCall,
  encodeResult,
  MessageType,
  readArgument,
  readMessage,
  readOutcome,
} from '../../src/wire/messages.ts';
import { type Argument, methodFacts, methodNames, type Result } from '../../src/wire/methods.ts';
import { AException, TrustEnd } from '../../src/wire/types.ts';
import { argumentName, argumentsOf, plain, resultsOf } from '../support/contract.ts';
import { refusal } from '../support/errors.ts';
import { npmFrame, npmReading } from '../support/npmThrift.ts';
import { callFrame, field, frameOf, handwritten, opened, replyFrame } from '../support/wireFrame.ts';
import { wireStruct, writeValue } from '../support/wireValue.ts';

const seqids = fc.integer({ min: 0, max: 0x7fff_ffff });

for (const method of methodNames)
  describe(`messages of ${method} against npm thrift`, () => {
    const { Args, Result } = structClasses[method];
    const oneway = methodFacts(method).oneway ?? false;
    const type = oneway ? MessageType.oneway : MessageType.call;

    it('reads its calls and is read by it', () => {
      fc.assert(
        fc.property(argumentsOf(method), seqids, (argument, seqid) => {
          const name = argumentName(method);
          const theirs = npmFrame((protocol) => {
            protocol.writeMessageBegin(method, type, seqid);
            new Args(name === undefined ? undefined : { [name]: argument }).write(protocol);
          });
          const { reader, header } = opened(theirs);
          expect(header).to.deep.equal({ type, name: method, seqid });
          expect(plain(readArgument(reader, method))).to.deep.equal(plain(argument));

          const protocol = npmReading(callFrame(method, seqid, argument));
          expect(protocol.readMessageBegin()).to.deep.include({ fname: method, mtype: type, rseqid: seqid });
          const args = new Args();
          args.read(protocol);
          expect(plain(name === undefined ? undefined : args[name])).to.deep.equal(plain(argument));
        }),
        { numRuns: 60 },
      );
    });

    if (oneway) return;
    it('reads its replies and is read by it', () => {
      fc.assert(
        fc.property(resultsOf(method), seqids, (value, seqid) => {
          const theirs = npmFrame((protocol) => {
            protocol.writeMessageBegin(method, Thrift.MessageType.REPLY, seqid);
            new Result({ success: value }).write(protocol);
          });
          const { reader, header } = opened(theirs);
          expect(header).to.deep.equal({ type: MessageType.reply, name: method, seqid });
          expect(plain(readOutcome(reader, method))).to.deep.equal(plain(value));

          const protocol = npmReading(replyFrame(method, seqid, value));
          expect(protocol.readMessageBegin()).to.deep.include({ fname: method, mtype: 2, rseqid: seqid });
          const result = new Result();
          result.read(protocol);
          expect(plain(result.success)).to.deep.equal(plain(value));
        }),
        { numRuns: 60 },
      );
    });
  });

/** The struct of one member, whose own members are text. */
function oneStruct(w: CompactWriter, id: number, members: [id: number, text: string][]): void {
  w.writeStructBegin();
  w.writeFieldBegin('', ThriftType.struct, id);
  w.writeStructBegin();
  for (const [member, text] of members) {
    w.writeFieldBegin('', ThriftType.string, member);
    w.writeString(text);
  }
  w.writeFieldStop();
  w.writeStructEnd();
  w.writeFieldStop();
  w.writeStructEnd();
}

function ping(members: [id: number, text: string][]): CompactReader {
  return handwritten(MessageType.call, 'ping', (w) => oneStruct(w, 1, members));
}

describe('messages that break the contract', () => {
  it('are refused without a required member, which is named', () => {
    const error = refusal(() => readArgument(ping([[1, 'west']]), 'ping'), 'wire_malformed');
    expect(error.field).to.equal('request_data');
    expect(refusal(() => readArgument(ping([]), 'ping'), 'wire_malformed').field).to.equal('cloud_id');
    const empty = handwritten(MessageType.call, 'ping', (w) => w.writeFieldStop());
    expect(refusal(() => readArgument(empty, 'ping'), 'wire_malformed').field).to.equal('request');
  });

  it('are refused with a member twice', () => {
    const twice = ping([
      [1, 'west'],
      [2, 'x'],
      [2, 'y'],
    ]);
    expect(refusal(() => readArgument(twice, 'ping'), 'wire_malformed').field).to.equal('request_data');
  });

  it('are refused with a member of another type, also an optional one', () => {
    const reader = handwritten(MessageType.call, 'getServices', (w) =>
      field(w, ThriftType.struct, 1, () => field(w, ThriftType.i32, 1, () => w.writeI32(7))),
    );
    expect(refusal(() => readArgument(reader, 'getServices'), 'wire_malformed').field).to.equal('type');
  });

  it('are refused with a value that an enum does not have', () => {
    const end = (reason: number): CompactReader =>
      handwritten(MessageType.call, 'endTrust', (w) => field(w, ThriftType.i32, 1, () => w.writeI32(reason)));
    expect(readArgument(end(2), 'endTrust')).to.equal(TrustEnd.REMOVED);
    for (const reason of [0, 3, -1])
      expect(refusal(() => readArgument(end(reason), 'endTrust'), 'wire_malformed').field).to.equal('reason');
  });

  it('are refused with a list of other elements', () => {
    const reader = handwritten(MessageType.reply, 'getServices', (w) =>
      field(w, ThriftType.list, 0, () => {
        w.writeListBegin(ThriftType.i32, 2);
        w.writeI32(1);
        w.writeI32(2);
        w.writeListEnd();
      }),
    );
    expect(refusal(() => readOutcome(reader, 'getServices'), 'wire_malformed').field).to.equal('success');
  });

  it('are refused when a reply has no result, or a result and an error', () => {
    const none = handwritten(MessageType.reply, 'ping', (w) => w.writeFieldStop());
    refusal(() => readOutcome(none, 'ping'), 'wire_malformed');
    const success = { cloud_id: 'east', response_data: 'pong' };
    const error = new AException({ code: 429, message: 'no' });
    const result = new structClasses.ping.Result({ success, error });
    const both = handwritten(MessageType.reply, 'ping', (w) => result.write(w));
    refusal(() => readOutcome(both, 'ping'), 'wire_malformed');
  });

  it('are refused as a reply when they are a call', () => {
    const { reader } = opened(callFrame('ping', 1, { cloud_id: 'west', request_data: '' }));
    refusal(() => readOutcome(reader, 'ping'), 'wire_malformed');
  });
});

describe('messages of other versions', () => {
  it("reads a call of the 2014 prototype's client, byte for byte", () => {
    const bytes = Buffer.from('8221000470696e671c180477657374180568656c6c6f0000', 'hex');
    const reader = new CompactReader();
    reader.reset(bytes);
    expect(readMessage(reader)).to.deep.equal({ type: 1, name: 'ping', seqid: 0 });
    expect(plain(readArgument(reader, 'ping'))).to.deep.equal({ cloud_id: 'west', request_data: 'hello' });
  });

  it('passes over members that it does not know', () => {
    fc.assert(
      fc.property(wireStruct({ boolElements: true }), ({ shape, value }) => {
        const reader = handwritten(MessageType.call, 'ping', (w) => {
          w.writeStructBegin();
          w.writeFieldBegin('', ThriftType.struct, 1);
          w.writeStructBegin();
          w.writeFieldBegin('', ThriftType.string, 1);
          w.writeString('west');
          w.writeFieldBegin('', ThriftType.struct, 900);
          writeValue(w, shape, value);
          w.writeFieldBegin('', ThriftType.string, 2);
          w.writeString('hello');
          w.writeFieldStop();
          w.writeStructEnd();
          w.writeFieldStop();
          w.writeStructEnd();
        });
        expect(plain(readArgument(reader, 'ping'))).to.deep.equal({ cloud_id: 'west', request_data: 'hello' });
      }),
    );
  });

  it('reads oneway calls, and any seqid', () => {
    const bytes = frameOf((w) => w.writeMessageBegin('ping', MessageType.oneway, -1));
    const reader = new CompactReader();
    reader.reset(bytes);
    expect(readMessage(reader)).to.deep.equal({ type: MessageType.oneway, name: 'ping', seqid: -1 });
  });
});

describe('encoding', () => {
  it('names the argument at fault, writes nothing, and leaves the writer good for the next call', () => {
    const writer = new CompactWriter();
    encodeCall(writer, 1, 'ping', { cloud_id: 'west', request_data: 'first' });
    const { length } = writer;
    const wrong: unknown[] = [{ cloud_id: 'west' }, { cloud_id: 5, request_data: 'x' }, undefined, 'text'];
    for (const argument of wrong)
      refusal(() => encodeCall(writer, 2, 'ping', argument as Argument<'ping'>), 'bad_request');
    refusal(() => encodeCall(writer, 2, 'endTrust', 9 as TrustEnd), 'bad_request');
    expect(writer.length).to.equal(length);
    const missing = refusal(() => encodeCall(writer, 2, 'ping', wrong[0] as Argument<'ping'>), 'bad_request');
    expect(missing.field).to.equal('request_data');

    encodeCall(writer, 3, 'ping', { cloud_id: 'west', request_data: 'second' });
    const both = writer.take();
    expect(plain(readArgument(opened(both.subarray(0, length)).reader, 'ping'))).to.deep.include({
      request_data: 'first',
    });
    expect(plain(readArgument(opened(both.subarray(length)).reader, 'ping'))).to.deep.include({
      request_data: 'second',
    });
  });

  it("calls a handler's wrong result internal, and sends none of it", () => {
    const writer = new CompactWriter();
    for (const value of [undefined, { cloud_id: 'east' }, { cloud_id: 'east', response_data: Buffer.from('pong') }])
      refusal(() => encodeResult(writer, 1, 'ping', value as Result<'ping'>), 'internal');
    expect(writer.length).to.equal(0);
  });

  it('refuses a message larger than a frame may be', () => {
    const writer = new CompactWriter();
    writer.maxFrameBytes = 100;
    refusal(
      () => encodeCall(writer, 1, 'ping', { cloud_id: 'west', request_data: 'x'.repeat(100) }),
      'frame_too_large',
    );
    expect(writer.length).to.equal(0);
  });
});
