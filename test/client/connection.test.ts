/** What keeps a client of the npm thrift package waiting for good, or breaks it, against ours over real sockets. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { ClientConnection } from '../../src/client/connection.ts';
import { dial } from '../../src/client/dial.ts';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { AllianceError } from '../../src/core/errors.ts';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { clientLimits } from '../../src/core/limits.ts';
import { CompactWriter } from '../../src/wire/compact.ts';
import { encodeError, encodeUnknownMethod } from '../../src/wire/messages.ts';
import {
  EndpointFilter,
  PingRequest,
  TokenStatus,
  TokenValidation,
  ValidateTokenRequest,
} from '../../src/wire/types.ts';
import { rejection } from '../support/errors.ts';
import { lengthOf, pingBytes } from '../support/rawPeer.ts';
import { pongBytes, resultBytes, type SeenCall, startRawServer, stopRawServers } from '../support/rawServer.ts';

const policy = createDialPolicy({ allow: ['127.0.0.0/8'], ownAddresses: () => [] });
const request = () => new PingRequest({ cloud_id: 'west', request_data: 'ping' });

describe('client connection', () => {
  const open: ClientConnection[] = [];
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    await stopRawServers();
  });

  async function connect(answer: (call: SeenCall) => void): Promise<ClientConnection> {
    const { endpoint } = await startRawServer(answer);
    const connection = new ClientConnection(await dial({ endpoint, policy, pins: [] }));
    open.push(connection);
    return connection;
  }

  const pong = ({ seqid, socket }: SeenCall) => socket.write(pongBytes(seqid));
  const settles = (connection: ClientConnection, name: ErrorName, timeoutMs = 5000) =>
    rejection(connection.call('ping', request(), { timeoutMs }), name);

  const bytes = (text: string) => Buffer.from(text, 'hex');
  const answers: [what: string, answer: (call: SeenCall) => Buffer][] = [
    ['a frame of -4 bytes', () => lengthOf(-4)],
    ['a frame of 2 GiB', () => lengthOf(0x8000_0000)],
    ['a frame of 1 GiB', () => lengthOf(0x4000_0000)],
    ['a frame of 17 KiB before attach', () => lengthOf(17 * 1024)],
    ['an empty frame', () => lengthOf(0)],
    ['garbage', () => bytes('00000004deadbeef')],
    ['HTTP', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a call', ({ seqid }) => pingBytes(seqid)],
    ['a reply that nobody waits for', ({ seqid }) => pongBytes(seqid + 1000)],
    ['a reply to another method', ({ seqid }) => resultBytes('getServices', [], seqid)],
    ['a reply without a result', () => bytes('0000000a824101047069 6e6700'.replaceAll(' ', ''))],
    ['a reply cut short', ({ seqid }) => pongBytes(seqid).subarray(0, 12).fill(9, 3, 4)],
    ['a reply with a tail', ({ seqid }) => withTail(pongBytes(seqid))],
    ['a sealed frame', () => bytes('00000012a1000000000000000000000000000000000000')],
  ];
  for (const [what, answer] of answers)
    it(`settles every call after ${what}, and closes`, async () => {
      const connection = await connect((call) => call.socket.write(answer(call)));
      const both = [settles(connection, 'connection_lost'), settles(connection, 'connection_lost')];
      await Promise.all(both);
      expect(connection.closed).to.equal(true);
      expect(connection.inFlight).to.equal(0);
      await settles(connection, 'connection_lost');
    });

  it('an answer to another method is none, also where its form would do', async () => {
    const answer = new TokenValidation({ status: TokenStatus.INVALID });
    const connection = await connect(({ seqid, socket }) =>
      socket.write(resultBytes('validateTokenSoft', answer, seqid)),
    );
    const request = new ValidateTokenRequest({ token: 't' });
    expect((await connection.call('validateTokenSoft', request)).status).to.equal(TokenStatus.INVALID);
    await rejection(connection.call('validateTokenHard', request), 'connection_lost');
    expect(connection.closed).to.equal(true);
  });

  it('settles every call whatever bytes come', async () => {
    const replies = fc.uint8Array({ minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(replies, fc.boolean(), async (reply, framed) => {
        const frame = framed ? Buffer.concat([lengthOf(reply.length), reply]) : Buffer.from(reply);
        const connection = await connect(({ socket }) => {
          socket.end(frame);
        });
        const outcome = await connection.call('ping', request(), { timeoutMs: 3000 }).catch((error: unknown) => error);
        expect(outcome).to.be.instanceOf(AllianceError);
        expect((outcome as AllianceError).errorName).to.equal('connection_lost');
      }),
      { numRuns: 60 },
    );
  });

  it('settles when the peer ends, resets, or is closed by us', async () => {
    const ended = await connect(({ socket }) => socket.end());
    await settles(ended, 'connection_lost');
    const reset = await connect(({ socket }) => socket.resetAndDestroy());
    await settles(reset, 'connection_lost');
    const closed = await connect(() => undefined);
    const waiting = settles(closed, 'connection_lost');
    closed.close();
    await waiting;
  });

  it('settles at the deadline; a late answer is let go, a second one is not', async () => {
    const late: SeenCall[] = [];
    const connection = await connect((call) => (late.length === 0 ? late.push(call) : pong(call)));
    const startedAt = performance.now();
    await settles(connection, 'deadline_exceeded', 100);
    expect(performance.now() - startedAt).to.be.within(95, 400);
    const [call] = late;
    pong(call!);
    expect((await connection.call('ping', request())).response_data).to.equal('pong');
    pong(call!);
    await settles(connection, 'connection_lost');
  });

  it('many calls have each its own deadline and its own answer', async () => {
    const seen: SeenCall[] = [];
    const connection = await connect((call) => {
      seen.push(call);
      // The answers come in the opposite order, and those to every fourth call never.
      if (seen.length === 40)
        for (const { seqid, socket } of [...seen].reverse())
          if (seqid % 4 > 0) socket.write(pongBytes(seqid, `n${seqid}`));
    });
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        connection.call('ping', request(), { timeoutMs: 100 + n * 5 }).then(
          (answer) => answer.cloud_id,
          (error: AllianceError) => error.errorName,
        ),
      ),
    );
    expect(outcomes).to.deep.equal(
      Array.from({ length: 40 }, (_, n) => ((n + 1) % 4 > 0 ? `n${n + 1}` : 'deadline_exceeded')),
    );
    expect(connection.closed).to.equal(false);
  });

  it("tells the peer's error from its own", async () => {
    const connection = await connect(({ name, seqid, socket }) => {
      const writer = new CompactWriter();
      if (name === 'ping') encodeError(writer, seqid, 'ping', new AllianceError('rate_limited', { retryAfterMs: 70 }));
      else encodeUnknownMethod(writer, seqid, name);
      socket.write(Buffer.from(writer.take()));
    });
    const limited = await rejection(connection.call('ping', request()), 'rate_limited');
    expect([limited.remote, limited.retryAfterMs]).to.deep.equal([true, 70]);
    const unknown = await rejection(connection.call('getTrustBundle', undefined), 'unknown_method');
    expect(unknown.remote).to.equal(true);
    expect(connection.closed).to.equal(false);
  });

  it('an argument of a wrong type does not poison the next call', async () => {
    const connection = await connect(pong);
    const first = connection.call('ping', request());
    for (const wrong of [
      { cloud_id: 7, request_data: 'x' },
      { cloud_id: 'x' },
      'text',
      null,
      { cloud_id: {}, request_data: [] },
    ])
      await rejection(connection.call('ping', wrong as unknown as PingRequest), 'bad_request');
    const huge = new EndpointFilter({ type: 'x'.repeat(20_000) });
    await rejection(connection.call('getEndpoints', huge), 'frame_too_large');
    expect((await first).response_data).to.equal('pong');
    expect((await connection.call('ping', request())).response_data).to.equal('pong');
    expect(connection.inFlight).to.equal(0);
  });

  it('takes so many calls and no more, and settles them all', async () => {
    const connection = await connect(() => undefined);
    const calls = Array.from({ length: clientLimits.inFlight }, () =>
      connection.call('ping', request()).catch((error: AllianceError) => error.errorName),
    );
    await settles(connection, 'overloaded');
    connection.close();
    expect(new Set(await Promise.all(calls))).to.deep.equal(new Set(['connection_lost']));
  });

  it('closes when idle only after the last answer', async () => {
    const connection = await connect(async (call) => {
      await delay(50);
      pong(call);
    });
    const answer = connection.call('ping', request());
    connection.closeWhenIdle();
    expect((await answer).response_data).to.equal('pong');
    await delay(20);
    expect(connection.closed).to.equal(true);
  });

  it('tells of its end also who asks afterwards', async () => {
    const connection = await connect(({ socket }) => socket.end(lengthOf(-4)));
    await settles(connection, 'connection_lost');
    let told: AllianceError | undefined;
    connection.onClose((error) => {
      told = error;
    });
    expect(told?.errorName).to.equal('wire_malformed');
  });

  it('a refused attach closes the connection', async () => {
    const connection = await connect(({ seqid, socket }) => {
      const nothing = { epk: Buffer.alloc(32, 9), nonce: Buffer.alloc(32), mac: Buffer.alloc(32) };
      socket.write(resultBytes('attach', nothing as never, seqid));
    });
    const side = { cloudId: 'a', fingerprint: Buffer.alloc(32) };
    const context = { sid: Buffer.alloc(16), initiator: side, responder: side, binding: Buffer.alloc(32) };
    await rejection(connection.attach(Buffer.alloc(32), context), 'session_invalid');
    expect(connection.closed).to.equal(true);
  });
});

function withTail(frame: Buffer): Buffer {
  const longer = Buffer.concat([frame, Buffer.from([0])]);
  longer.writeUInt32BE(longer.length - 4);
  return longer;
}
