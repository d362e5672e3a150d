/** Messages of the contract: each encode writes one whole frame, each read checks everything before a value exists. */
import { AllianceError } from '../core/errors.ts';
import { methods as structClasses } from '../gen/AllianceService.js';
import { methods as methodShapes } from '../gen/AllianceService_shapes.js';
import { malformed, ThriftType } from './compactTypes.ts';
import { fromApplicationException, fromException, toException } from './exceptions.ts';
import { type Argument, type MethodName, methodFacts, methodNames, type Result } from './methods.ts';
import { checkOutgoing } from './outgoing.ts';
import type { CompactReader } from './reader.ts';
import { checkStruct, type StructShape, structShape } from './shape.ts';
import type { AException } from './types.ts';
import type { CompactWriter } from './writer.ts';

export const MessageType = { call: 1, reply: 2, exception: 3, oneway: 4 } as const;

export interface MessageHeader {
  /** 1 call, 2 reply, 3 exception, 4 oneway. */
  readonly type: number;
  /** As the peer wrote it, at most 64 bytes; not always a method's. */
  readonly name: string;
  readonly seqid: number;
}

interface Codec {
  readonly argumentName: string | undefined;
  readonly argumentShape: StructShape;
  readonly resultShape: StructShape;
  readonly isVoid: boolean;
  readonly Args: StructClass;
  readonly Result: StructClass;
}

type StructClass = (typeof structClasses)[MethodName]['Args'];
type Struct = InstanceType<StructClass>;

const codecs = new Map<MethodName, Codec>(
  methodNames.map((method) => {
    const shape = methodShapes[method];
    if (shape === undefined) throw new TypeError(`${method} is not in the contract.`);
    return [
      method,
      {
        argumentName: shape.arguments[0]?.name,
        argumentShape: structShape(shape.arguments),
        resultShape: structShape(shape.result ?? []),
        isVoid: shape.result?.[0]?.name !== 'success',
        ...structClasses[method],
      },
    ];
  }),
);

const codecOf = (method: MethodName): Codec => codecs.get(method) as Codec;

/**
 * Writes a call. Throws bad_request, with nothing written, when the argument does not fit the contract, and frame_too_large.
 * A member that is too much is not sent.
 */
export function encodeCall<M extends MethodName>(w: CompactWriter, seqid: number, method: M, arg: Argument<M>): void {
  const { Args, argumentName, argumentShape } = codecOf(method);
  const type = methodFacts(method).oneway ? MessageType.oneway : MessageType.call;
  writeFrame(w, method, type, seqid, 'bad_request', () => {
    writeChecked(w, argumentName === undefined ? new Args() : holding(Args, argumentName, arg), argumentShape);
  });
}

/** Writes a reply with a value. Throws internal, with nothing written, when the value does not fit the contract, and frame_too_large. */
export function encodeResult<M extends MethodName>(w: CompactWriter, seqid: number, method: M, value: Result<M>): void {
  const { Result, resultShape, isVoid } = codecOf(method);
  writeFrame(w, method, MessageType.reply, seqid, 'internal', () => {
    if (!isVoid && (value === undefined || value === null)) throw malformed('The result is missing.');
    writeChecked(w, holding(Result, 'success', value), resultShape);
  });
}

/** Writes a reply with the declared exception: public text only. */
export function encodeError(
  w: CompactWriter,
  seqid: number,
  method: MethodName,
  error: AllianceError,
  requestId: string | undefined = error.remote ? undefined : error.requestId,
): void {
  const { Result } = codecOf(method);
  const result = new Result({ error: toException(error, requestId) });
  writeFrame(w, method, MessageType.reply, seqid, 'internal', () => result.write(w));
}

/** Writes Thrift's own exception for a method that is not in the contract. */
export function encodeUnknownMethod(w: CompactWriter, seqid: number, name: string): void {
  writeFrame(w, name, MessageType.exception, seqid, 'internal', () => {
    w.writeStructBegin();
    w.writeFieldBegin('message', ThriftType.string, 1);
    w.writeString('The method is not known here.');
    w.writeFieldBegin('type', ThriftType.i32, 2);
    w.writeI32(1);
    w.writeFieldStop();
    w.writeStructEnd();
  });
}

/** Generated constructors copy what they are given; a struct of ours is written as it is. */
function holding(Class: StructClass, name: string, value: unknown): Struct {
  if (typeof (value as Partial<Struct> | undefined)?.write !== 'function') return new Class({ [name]: value });
  const struct = new Class();
  struct[name] = value;
  return struct;
}

function writeChecked(w: CompactWriter, struct: Struct, shape: StructShape): void {
  checkOutgoing(struct, shape);
  struct.write(w);
}

function writeFrame(
  w: CompactWriter,
  name: string,
  type: number,
  seqid: number,
  misuse: 'bad_request' | 'internal',
  writeBody: () => void,
): void {
  const mark = w.mark();
  try {
    w.beginFrame();
    w.writeMessageBegin(name, type, seqid);
    writeBody();
    w.endFrame();
  } catch (thrown) {
    w.rollback(mark);
    throw asMisuse(thrown, misuse);
  }
}

/** What does not fit the contract on our own side is the caller's or the handler's mistake, not the peer's. */
function asMisuse(thrown: unknown, name: 'bad_request' | 'internal'): AllianceError {
  if (!(thrown instanceof AllianceError)) {
    const details = thrown instanceof TypeError ? thrown.message : undefined;
    return new AllianceError(name, { cause: thrown, ...(details === undefined ? {} : { details }) });
  }
  if (thrown.errorName !== 'wire_malformed') return thrown;
  const { details, field } = thrown;
  return new AllianceError(name, {
    cause: thrown,
    ...(details === undefined ? {} : { details }),
    ...(field === undefined ? {} : { field }),
  });
}

/** Reads a message's header. Throws wire_malformed. */
export function readMessage(reader: CompactReader): MessageHeader {
  const { fname, mtype, rseqid } = reader.readMessageBegin();
  return { type: mtype, name: fname, seqid: rseqid };
}

/** The argument of a call, whose header was read. Throws wire_malformed, with the field where one is at fault. */
export function readArgument<M extends MethodName>(reader: CompactReader, method: M): Argument<M> {
  const { Args, argumentName, argumentShape } = codecOf(method);
  const args = readStruct(reader, Args, argumentShape);
  return (argumentName === undefined ? undefined : args[argumentName]) as Argument<M>;
}

/**
 * The value of a reply, whose header was read. Throws what the peer raised as an AllianceError with `remote`, and wire_malformed
 * of our own when the message is none.
 */
export function readOutcome<M extends MethodName>(reader: CompactReader, method: M): Result<M> {
  if (reader.messageType === MessageType.exception) throw readApplicationException(reader);
  if (reader.messageType !== MessageType.reply) throw malformed('The message is no reply.');
  const { Result, resultShape, isVoid } = codecOf(method);
  const { success, error } = readStruct(reader, Result, resultShape);
  if (error !== undefined && success === undefined) throw fromException(error as AException);
  if (error !== undefined || (success === undefined && !isVoid)) throw malformed('The reply has no one result.');
  return success as Result<M>;
}

function readStruct(reader: CompactReader, Class: StructClass, shape: StructShape): Struct {
  const begin = reader.position;
  checkStruct(reader, shape);
  if (reader.remaining > 0) throw malformed('Bytes follow the message.');
  reader.rewind(begin);
  const struct = new Class();
  struct.read(reader);
  return struct;
}

const applicationExceptionShape = structShape([
  { id: 1, name: 'message', required: false, type: ['string'] },
  { id: 2, name: 'type', required: false, type: ['i32'] },
]);

function readApplicationException(reader: CompactReader): AllianceError {
  const begin = reader.position;
  checkStruct(reader, applicationExceptionShape);
  if (reader.remaining > 0) throw malformed('Bytes follow the message.');
  reader.rewind(begin);
  let message = '';
  let type = 0;
  reader.readStructBegin();
  for (let field = reader.readFieldBegin(); field.ftype !== ThriftType.stop; field = reader.readFieldBegin()) {
    if (field.fid === 1) message = reader.readString();
    else if (field.fid === 2) type = reader.readI32();
    else reader.skip(field.ftype);
  }
  return fromApplicationException(type, message);
}
