/** grpc-js on both ends, a connection for each client. The two strings travel as protobuf: field 1 and 2, length-delimited. */
import {
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';
import { clientCloudId, requestData, responseData, serverCloudId } from '../message.ts';

type Pair = readonly [first: string, second: string];

/** Strings below 128 bytes, so that each length is one byte. */
function serialize([first, second]: Pair): Buffer {
  const [a, b] = [Buffer.byteLength(first), Buffer.byteLength(second)];
  const bytes = Buffer.allocUnsafe(4 + a + b);
  bytes[0] = 0x0a;
  bytes[1] = a;
  bytes.write(first, 2);
  bytes[2 + a] = 0x12;
  bytes[3 + a] = b;
  bytes.write(second, 4 + a);
  return bytes;
}

function deserialize(bytes: Buffer): Pair {
  const fields = ['', '', ''];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 2 + bytes[at + 1]!;
    fields[bytes[at]! >> 3] = bytes.toString('utf8', at + 2, end);
    at = end;
  }
  return [fields[1]!, fields[2]!];
}

const definition = {
  ping: {
    path: '/AllianceService/ping',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
} as const;

function serve(): Promise<number> {
  const server = new Server();
  const ping = (_call: unknown, answer: sendUnaryData<Pair>): void => answer(null, [serverCloudId, responseData]);
  server.addService(definition, { ping: ping as UntypedHandleCall });
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
}

const PingClient = makeGenericClientConstructor(definition, 'AllianceService');

async function connect({ port }: Load): Promise<Connection> {
  // Otherwise all clients of a process would share one connection.
  const client = new PingClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve())),
  );
  return {
    call: (done, fail) => {
      const { requestSerialize, responseDeserialize, path } = definition.ping;
      const answered = (error: unknown): void => (error ? fail(error) : done());
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, [clientCloudId, requestData], answered);
    },
    close: () => client.close(),
  };
}

export const grpcJs: Contender = { serve, measure: (load) => closedLoop(load, connect) };
