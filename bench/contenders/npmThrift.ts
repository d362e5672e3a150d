/** Stock npm thrift on both ends: its framed transport, compact protocol, server, client and the code that its compiler generates. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createClient, createConnection, createServer, TCompactProtocol, TFramedTransport } from 'thrift';
import { Client, Processor } from '../../src/gen/AllianceService.js';
import { PingRequest, PingResponse } from '../../src/gen/AllianceService_types.js';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';
import { clientCloudId, requestData, responseData, serverCloudId } from '../message.ts';

const options = { transport: TFramedTransport, protocol: TCompactProtocol };

async function serve(): Promise<number> {
  const ping = (_request: PingRequest, answer: (error: null, response: PingResponse) => void): void =>
    answer(null, new PingResponse({ cloud_id: serverCloudId, response_data: responseData }));
  const server = createServer(Processor, { ping }, options);
  // Without a listener a connection that a client ends by a reset would end the process.
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function connect({ port }: Load): Promise<Connection> {
  const connection = createConnection('127.0.0.1', port, options);
  await once(connection, 'connect');
  const client = createClient(Client, connection);
  return {
    call: (done, fail) => {
      client.ping(new PingRequest({ cloud_id: clientCloudId, request_data: requestData })).then(done, fail);
    },
    close: () => connection.end(),
  };
}

export const npmThrift: Contender = { serve, measure: (load) => closedLoop(load, connect) };
