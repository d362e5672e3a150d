/** Ours: the calls of one broker to another that runs as `serve` does, over its plain TCP door. */
import { randomBytes } from 'node:crypto';
import { type Installation, openInstallation } from '../../src/broker/installation.ts';
import { startSession } from '../../src/channel/handshake.ts';
import { attachChannel } from '../../src/client/channel.ts';
import { ClientConnection } from '../../src/client/connection.ts';
import { dial } from '../../src/client/dial.ts';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { fromTicket, toStored, toTicket } from '../../src/client/session.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { createLogger } from '../../src/core/log.ts';
import type { Partner } from '../../src/model/partner.ts';
import { PingRequest, TokenStatus, ValidateTokenRequest } from '../../src/wire/types.ts';
import { type Connection, type Contender, closedLoop, type Load } from '../load.ts';
import { clientCloudId, requestData, serverCloudId } from '../message.ts';

const policy = createDialPolicy({ allow: ['127.0.0.0/8'], ownAddresses: () => [] });

async function open({ port }: Load): Promise<ClientConnection> {
  return new ClientConnection(await dial({ endpoint: { scheme: 'tcp', host: '127.0.0.1', port }, policy, pins: [] }));
}

const pinging = (connection: ClientConnection): Connection => ({
  call: (done, fail) => {
    const request = new PingRequest({ cloud_id: clientCloudId, request_data: requestData });
    connection.call('ping', request).then(done, fail);
  },
  close: () => connection.close(),
});

export const plain: Contender = {
  measure: (load) => closedLoop(load, async () => pinging(await open(load))),
};

interface Caller {
  readonly installation: Installation;
  readonly partner: Partner;
}

async function openCaller({ home }: Load): Promise<Caller> {
  const log = createLogger({ level: 'error' });
  const installation = await openInstallation({ home, env: {}, log });
  return { installation, partner: await installation.store.partners.resolve(serverCloudId) };
}

/** Runs with the calling broker's home open. */
async function withCaller<T>(load: Load, work: (caller: Caller) => Promise<T>): Promise<T> {
  const caller = await openCaller(load);
  try {
    return await work(caller);
  } finally {
    await caller.installation.close();
  }
}

async function openChannel(load: Load, { installation, partner }: Caller): Promise<ClientConnection> {
  const { pool, store, clock, view } = installation;
  await pool.open(partner);
  const session = (await store.sessions.newest(partner.uid, 'initiator', clock.now()))!;
  const connection = await open(load);
  await attachChannel({ connection, session, partner, identity: view.identityFor(partner), clock });
  return connection;
}

export const sealed: Contender = {
  measure: (load) =>
    withCaller(load, (caller) => closedLoop(load, async () => pinging(await openChannel(load, caller)))),
};

async function validating(connection: ClientConnection, { token }: Load): Promise<Connection> {
  // The issuer answers softly what it learnt lately, so it is made to learn it.
  const known = await connection.call('validateTokenHard', new ValidateTokenRequest({ token }));
  if (known.status !== TokenStatus.VALID) throw new Error('The token of the benchmark is not valid.');
  return {
    call: (done, fail) => {
      connection.call('validateTokenSoft', new ValidateTokenRequest({ token })).then(({ status }) => {
        if (status === TokenStatus.VALID) done();
        else fail(new Error('The issuer no longer knows the token.'));
      }, fail);
    },
    close: () => connection.close(),
  };
}

export const validateSoft: Contender = {
  measure: (load) =>
    withCaller(load, (caller) => closedLoop(load, async () => validating(await openChannel(load, caller), load))),
};

/** One after the other, each on a new connection: getSession, then attach. */
function handshaking(load: Load, { installation, partner }: Caller): Connection {
  const { view, clock } = installation;
  const identity = view.identityFor(partner);
  const key = view.pinsOf(partner)[0]!;
  const once = async (): Promise<void> => {
    const connection = await open(load);
    const request = await startSession({
      identity,
      partner: { cloudId: partner.cloudId, key },
      attempt: 'bootstrap',
      now: clock.now(),
    });
    const answer = await connection.call('getSession', fromTicket(request.ticket));
    const session = toStored(await request.finish(toTicket(answer), clock.now()), partner, 'initiator');
    // Closes the connection by itself when it fails.
    await attachChannel({ connection, session, partner, identity, clock });
    connection.close();
  };
  // As every client does whose session ended before its attach: far above the rate that a partner has, that can happen.
  const again = (error: unknown): Promise<void> => (hasEnded(error) ? once().catch(again) : Promise.reject(error));
  return { call: (done, fail) => void once().catch(again).then(done, fail), close: () => undefined };
}

const hasEnded = (error: unknown): boolean =>
  error instanceof AllianceError && error.remote && error.errorName === 'session_invalid';

export const handshakes: Contender = {
  measure: (load) => withCaller(load, (caller) => closedLoop(load, async () => handshaking(load, caller))),
};

/** For a broker that is to sit idle with one partner: a channel, held open until this process ends. */
export const idlePartner: Contender = {
  measure: async (load) => {
    const connection = await openChannel(load, await openCaller(load));
    await connection.call(
      'ping',
      new PingRequest({ cloud_id: clientCloudId, request_data: randomBytes(15).toString('hex') }),
    );
    return 0;
  },
};
