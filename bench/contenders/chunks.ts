/**
 * Chunks of an image: 1 MiB each, sealed over plain TCP or over TLS, against a bare TLS 1.3 stream. The server answers with bytes that are
 * ready, so that nothing is measured but the channel: messages, seals, sockets.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { answerAttach, noBinding } from '../../src/channel/attach.ts';
import { Link } from '../../src/channel/link.ts';
import { Reads } from '../../src/channel/reads.ts';
import { ClientConnection } from '../../src/client/connection.ts';
import type { CloudId } from '../../src/core/ids.ts';
import { createIdentity } from '../../src/crypto/identity.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { encodeResult, readArgument, readMessage } from '../../src/wire/messages.ts';
import { AttachResponse, ImageData, ImageRange, ImageReference, toInt64 } from '../../src/wire/types.ts';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';
import { clientCloudId, serverCloudId } from '../message.ts';

const mib = 1024 * 1024;
const imageBytes = 1024 * mib;

/** Both ends hold the session, as after a handshake. */
const secret = Buffer.alloc(32, 'secret');
const context = {
  sid: Buffer.alloc(16, 'sid'),
  initiator: { cloudId: clientCloudId, fingerprint: Buffer.alloc(32, 'west') },
  responder: { cloudId: serverCloudId, fingerprint: Buffer.alloc(32, 'east') },
  binding: noBinding,
};

const data = randomBytes(mib);

function serveChunks(socket: Socket): void {
  const reader = new CompactReader();
  const answer = (encode: (writer: Link['writer']) => void): void => {
    const mark = link.writer.mark();
    encode(link.writer);
    link.commit(mark);
  };
  const link = new Link({
    stream: socket,
    onMessage: (message) => {
      reader.reset(message);
      const { name, seqid } = readMessage(reader);
      if (name === 'attach') {
        const { response, keys } = answerAttach(secret, context, readArgument(reader, 'attach'));
        answer((writer) => encodeResult(writer, seqid, 'attach', new AttachResponse(response)));
        link.secure(keys, 'awaited');
      } else {
        const { length } = readArgument(reader, 'readImageData');
        const chunk = new ImageData({ data: data.subarray(0, length), size: toInt64(imageBytes) });
        // In a turn of its own, as what comes from a stream.
        setImmediate(() => link.closed || answer((writer) => encodeResult(writer, seqid, 'readImageData', chunk)));
      }
    },
    onClose: () => undefined,
  });
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function serveTls(onSocket: (socket: Socket) => void): Promise<number> {
  const hosts = ['127.0.0.1'];
  const { keyPem, certificatePem } = await createIdentity({
    cloudId: serverCloudId as CloudId,
    hosts,
    now: Date.now(),
  });
  return portOf(createTlsServer({ key: keyPem, cert: certificatePem, minVersion: 'TLSv1.3', noDelay: true }, onSocket));
}

/** What `dial` makes, without its pins. */
async function connect(scheme: 'tcp' | 'tls', port: number, reads?: Reads): Promise<Socket> {
  const address = { host: '127.0.0.1', port, ...(reads && { onread: reads.onread }) };
  const socket =
    scheme === 'tcp'
      ? connectTcp(address)
      : connectTls({ ...address, rejectUnauthorized: false, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' });
  await once(socket, scheme === 'tcp' ? 'connect' : 'secureConnect');
  return socket.setNoDelay(true);
}

const image = new ImageReference({ id: '00000000-0000-4000-8000-000000000000' });

async function reading(scheme: 'tcp' | 'tls', port: number): Promise<Connection> {
  const endpoint = { scheme, host: '127.0.0.1', port };
  const reads = new Reads();
  const socket = await connect(scheme, port, reads);
  const connection = new ClientConnection({ socket, reads, endpoint, fingerprint: null, exporter: null });
  await connection.attach(secret, context);
  let offset = 0;
  return {
    call: (done, fail) => {
      const range = new ImageRange({ image, offset: toInt64(offset), length: mib });
      offset = (offset + mib) % imageBytes;
      connection
        .call('readImageData', range)
        .then(({ data }) => (data.length === mib ? done() : fail(new Error('A chunk is too short.'))), fail);
    },
    close: () => connection.close(),
  };
}

/** Chunks a second. */
export const sealedChunks: Contender = {
  serve: () => portOf(createTcpServer({ noDelay: true }, (socket) => serveChunks(socket))),
  measure: (load) => closedLoop(load, () => reading('tcp', load.port)),
};

export const sealedTlsChunks: Contender = {
  serve: () => serveTls((socket) => serveChunks(socket)),
  measure: (load) => closedLoop(load, () => reading('tls', load.port)),
};

/** Writes as fast as the socket takes it. */
function pour(socket: Socket): void {
  const write = (): void => {
    while (socket.writable && socket.write(data));
  };
  socket.on('drain', write).on('error', () => socket.destroy());
  write();
}

/** MiB a second of one stream; whoever reads it only counts. */
async function count({ port, warmupMs, durationMs }: Load): Promise<number> {
  const socket = await connect('tls', port);
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await delay(warmupMs);
  const begin = performance.now();
  bytes = 0;
  await delay(durationMs);
  const perS = (bytes / mib) * (1000 / (performance.now() - begin));
  socket.destroy();
  return perS;
}

export const rawTls: Contender = { serve: () => serveTls(pour), measure: count };
