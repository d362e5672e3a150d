import { expect } from 'chai';
import { Thrift } from 'thrift';
import { AllianceError } from '../../src/core/errors.ts';
import { methods as structClasses } from '../../src/gen/AllianceService.js';
import { CompactReader, type CompactWriter } from '../../src/wire/compact.ts';
import { ThriftType } from '../../src/wire/compactTypes.ts';
import { cleanText, fromException, toException } from '../../src/wire/exceptions.ts';
import { encodeError, encodeUnknownMethod, MessageType, readMessage, readOutcome } from '../../src/wire/messages.ts';
import { AException } from '../../src/wire/types.ts';
import { refusal } from '../support/errors.ts';
import { npmReading } from '../support/npmThrift.ts';
import { field, frameOf, handwritten, opened } from '../support/wireFrame.ts';

describe('errors over the wire', () => {
  it('bring code, request id and advice to the caller, and nothing internal', () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.7:5000');
    const raised = new AllianceError('keystone_unreachable', { cause, details: 'at 10.0.0.7', retryAfterMs: 1500 });
    const frame = frameOf((w) => encodeError(w, 4, 'validateTokenHard', raised, 'request-1'));
    expect(frame.toString('latin1')).to.not.include('10.0.0.7');
    const { reader, header } = opened(frame);
    expect(header.seqid).to.equal(4);
    const error = refusal(() => readOutcome(reader, 'validateTokenHard'), 'keystone_unreachable');
    expect(error).to.include({ remote: true, requestId: 'request-1', retryAfterMs: 1500, retryable: true });
  });

  it('are read by npm thrift as the declared exception', () => {
    const raised = new AllianceError('partner_not_active');
    const protocol = npmReading(frameOf((w) => encodeError(w, 4, 'getServices', raised)));
    protocol.readMessageBegin();
    const result = new structClasses.getServices.Result();
    result.read(protocol);
    expect(result.error).to.deep.include({ code: 1107, message: 'The partnership is not active.', retryable: false });
  });

  it('answer an unknown method so that npm thrift and we know it', () => {
    const frame = frameOf((w) => encodeUnknownMethod(w, 9, 'shutdown'));
    const protocol = npmReading(frame);
    expect(protocol.readMessageBegin()).to.deep.include({ fname: 'shutdown', mtype: 3, rseqid: 9 });
    const exception = new Thrift.TApplicationException(0, '');
    exception.read(protocol);
    expect(exception).to.include({ type: Thrift.TApplicationExceptionType.UNKNOWN_METHOD });
    expect(refusal(() => readOutcome(opened(frame).reader, 'ping'), 'unknown_method').remote).to.equal(true);
  });

  it('take any other TApplicationException as internal of the other side', () => {
    const reader = handwritten(MessageType.exception, 'ping', (w) =>
      field(w, ThriftType.string, 1, () => w.writeString('boom\u0007\n here')),
    );
    const error = refusal(() => readOutcome(reader, 'ping'), 'internal');
    expect(error).to.include({ remote: true, retryable: false, details: 'boom here' });
  });
});

describe('a damaged TApplicationException', () => {
  const read = (type: number, id: number, write: (w: CompactWriter) => void): void => {
    const reader = handwritten(MessageType.exception, 'ping', (w) => field(w, type, id, () => write(w)));
    refusal(() => readOutcome(reader, 'ping'), 'wire_malformed');
  };

  it('is our own refusal', () => {
    read(ThriftType.i32, 1, (w) => w.writeI32(1));
    read(ThriftType.string, 2, (w) => w.writeString('1'));
  });

  it('is refused with bytes behind it', () => {
    const body = frameOf((w) => encodeUnknownMethod(w, 1, 'x')).subarray(4);
    const reader = new CompactReader();
    reader.reset(Buffer.concat([body, Buffer.of(0)]));
    readMessage(reader);
    refusal(() => readOutcome(reader, 'ping'), 'wire_malformed');
  });
});

describe('an exception that goes out', () => {
  it('says which field of the caller is at fault', () => {
    const error = new AllianceError('bad_request', {
      field: 'token',
      details: 'token must have 1 to 8192 characters.',
    });
    expect(toException(error).message).to.equal('The request is malformed. token must have 1 to 8192 characters.');
  });

  it('never has details without a field, of a refusal, or of another broker', () => {
    const details = 'user admin at 10.0.0.7';
    const silent = [
      new AllianceError('bad_request', { details }),
      new AllianceError('ticket_refused', { details, field: 'iss' }),
      new AllianceError('internal', { details, field: 'x' }),
      new AllianceError('bad_request', { details, field: 'x', remote: true }),
    ];
    for (const error of silent) expect(toException(error).message).to.equal(error.entry.publicMessage);
  });

  it('calls errors of storage and installation internal', () => {
    const exception = toException(new AllianceError('database_locked', { field: 'x', details: 'alliance.db' }));
    expect(exception).to.deep.include({ code: 501, message: 'Internal error.', retryable: true });
  });

  it('has a retry time only with retryable, and within its bounds', () => {
    expect(toException(new AllianceError('forbidden', { retryAfterMs: 5 })).retry_after_ms).to.equal(undefined);
    expect(toException(new AllianceError('overloaded', { retryAfterMs: 1.2 })).retry_after_ms).to.equal(2);
    expect(toException(new AllianceError('overloaded', { retryAfterMs: 9e9 })).retry_after_ms).to.equal(3_600_000);
  });
});

describe('an exception that came in', () => {
  it('keeps a number that is none of ours, is internal, and is not retried unasked', () => {
    const error = fromException(new AException({ code: 7777, message: 'Out of cheese.' }));
    expect(error).to.include({ errorName: 'internal', code: 501, remoteCode: 7777, retryable: false, remote: true });
    expect(error.details).to.equal('Out of cheese.');
    expect(fromException(new AException({ code: 7777, message: '', retryable: true })).retryable).to.equal(true);
  });

  it('repeats nothing of our own public message', () => {
    const error = fromException(new AException({ code: 429, message: 'Too many calls.' }));
    expect(error.message).to.equal('Too many calls.');
    expect(error.details).to.equal(undefined);
  });

  it('cannot write on a terminal, nor make us wait or remember for long', () => {
    const error = fromException(
      new AException({
        code: 400,
        message: `\u001b[2Jgone\r\n\u202e${'x'.repeat(5000)}`,
        request_id: `id\u0000${'y'.repeat(500)}`,
        retryable: true,
        retry_after_ms: 0x7fff_ffff,
      }),
    );
    expect(error.details).to.match(/^\[2Jgone x+$/);
    expect(error.details).to.have.length.of.at.most(512);
    expect(error.requestId).to.match(/^id y+$/);
    expect(error.requestId).to.have.length.of.at.most(64);
    expect(error.retryAfterMs).to.equal(3_600_000);
    expect(fromException(new AException({ code: 429, message: '', retry_after_ms: -1 })).retryAfterMs).to.equal(
      undefined,
    );
  });

  it('is cut at the end of a character', () => {
    expect(cleanText('aäöü', 4)).to.equal('aä');
    expect(cleanText('😀😀', 7)).to.equal('😀');
    expect(cleanText('\ud800x', 9)).to.equal('x');
  });
});
