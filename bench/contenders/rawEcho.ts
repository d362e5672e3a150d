/**
 * The ceiling: sockets, u32 frames and nothing else. The server sends each frame of the ping back as it came, the client counts
 * what returns and sends the next; both write once per turn of the event loop, as we do.
 */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { CompactWriter } from '../../src/wire/compact.ts';
import { encodeCall } from '../../src/wire/messages.ts';
import { PingRequest } from '../../src/wire/types.ts';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';
import { clientCloudId, requestData } from '../message.ts';

/** Calls back with each whole frame, its length included. */
function eachFrame(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      onFrame(bytes.subarray(at, end));
      at = end;
    }
    rest = bytes.subarray(at);
  });
}

/** Joins what is sent within one turn into one write. */
function batchedWriter(socket: Socket): (frame: Buffer) => void {
  let batch: Buffer[] = [];
  const flush = (): void => {
    socket.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch));
    batch = [];
  };
  return (frame) => {
    if (batch.push(frame) === 1) setImmediate(flush);
  };
}

async function serve(): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    eachFrame(socket, batchedWriter(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function pingFrame(): Buffer {
  const writer = new CompactWriter();
  encodeCall(writer, 1, 'ping', new PingRequest({ cloud_id: clientCloudId, request_data: requestData }));
  return writer.take();
}

async function connect({ port }: Load): Promise<Connection> {
  const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  const frame = pingFrame();
  const send = batchedWriter(socket);
  const waiting: (() => void)[] = [];
  eachFrame(socket, () => waiting.shift()?.());
  return {
    call: (done) => {
      waiting.push(done);
      send(frame);
    },
    close: () => socket.destroy(),
  };
}

export const rawEcho: Contender = { serve, measure: (load) => closedLoop(load, connect) };
