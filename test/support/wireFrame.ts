/** Whole frames of messages, and messages written by hand where the encoders refuse to write them. */
import { expect } from 'chai';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { encodeCall, encodeResult, type MessageHeader, readMessage } from '../../src/wire/messages.ts';
import type { Argument, MethodName, Result } from '../../src/wire/methods.ts';

export function frameOf(encode: (w: CompactWriter) => void): Buffer {
  const writer = new CompactWriter();
  encode(writer);
  return writer.take();
}

export function opened(frame: Buffer): { reader: CompactReader; header: MessageHeader } {
  const reader = new CompactReader();
  expect(frame.readUInt32BE(0)).to.equal(frame.length - 4);
  reader.reset(frame, 4);
  return { reader, header: readMessage(reader) };
}

export const callFrame = (method: MethodName, seqid: number, argument: unknown): Buffer =>
  frameOf((w) => encodeCall(w, seqid, method, argument as Argument<MethodName>));
export const replyFrame = (method: MethodName, seqid: number, value: unknown): Buffer =>
  frameOf((w) => encodeResult(w, seqid, method, value as Result<MethodName>));

/** A message whose body is written by hand, without a length. */
export function handwritten(type: number, name: string, body: (w: CompactWriter) => void): CompactReader {
  const bytes = frameOf((w) => {
    w.writeMessageBegin(name, type, 1);
    body(w);
  });
  const reader = new CompactReader();
  reader.reset(bytes);
  readMessage(reader);
  return reader;
}

/** A struct of one member. */
export function field(w: CompactWriter, type: number, id: number, write: () => void): void {
  w.writeStructBegin();
  w.writeFieldBegin('', type, id);
  write();
  w.writeFieldStop();
  w.writeStructEnd();
}
