/** A server that answers as the test says, for clients that must bear any answer. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { FrameDecoder } from '../../src/wire/frames.ts';
import { encodeResult, readMessage } from '../../src/wire/messages.ts';
import type { MethodName, Result } from '../../src/wire/methods.ts';
import { PingResponse } from '../../src/wire/types.ts';

export interface SeenCall {
  readonly name: string;
  readonly seqid: number;
  readonly socket: Socket;
}

export interface RawServer {
  readonly endpoint: Endpoint;
  readonly sockets: readonly Socket[];
  stop(): Promise<void>;
}

export function resultBytes<M extends MethodName>(method: M, value: Result<M>, seqid: number): Buffer {
  const writer = new CompactWriter();
  encodeResult(writer, seqid, method, value);
  return Buffer.from(writer.take());
}

export const pongBytes = (seqid: number, cloudId = 'east'): Buffer =>
  resultBytes('ping', new PingResponse({ cloud_id: cloudId, response_data: 'pong' }), seqid);

const servers = new Set<RawServer>();

/** For `afterEach`. */
export async function stopRawServers(): Promise<void> {
  for (const server of servers) await server.stop();
}

export interface RawServerOptions {
  /** Called for every connection. */
  readonly greet?: (socket: Socket) => void;
  readonly tls?: TlsOptions;
  /** Reads nothing. */
  readonly silent?: boolean;
  readonly port?: number;
}

/** Calls `answer` for every plain message that comes. */
export async function startRawServer(
  answer: (call: SeenCall) => void,
  { greet, tls, silent = false, port = 0 }: RawServerOptions = {},
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const accept = (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    const decoder = new FrameDecoder({ maxBytes: 1 << 24 });
    const reader = new CompactReader();
    const read = (chunk: Buffer) =>
      decoder.push(chunk, (body) => {
        reader.reset(body);
        const { name, seqid } = readMessage(reader);
        answer({ name, seqid, socket });
      });
    if (!silent) socket.on('data', read);
    greet?.(socket);
  };
  const server: Server = tls ? createTlsServer(tls, accept) : createServer(accept);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const raw: RawServer = {
    endpoint: { scheme: tls ? 'tls' : 'tcp', host: '127.0.0.1', port: address.port },
    sockets,
    stop: async () => {
      if (!servers.delete(raw)) return;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  servers.add(raw);
  return raw;
}
