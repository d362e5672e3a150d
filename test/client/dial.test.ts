import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { dial, exportBinding, serverNameFor } from '../../src/client/dial.ts';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { findFreePort } from '../../src/server/freePort.ts';

import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { startRawServer, stopRawServers } from '../support/rawServer.ts';
import { until } from '../support/until.ts';

const policy = createDialPolicy({ allow: ['127.0.0.0/8'], ownAddresses: () => [] });
const quiet = () => undefined;

describe('dial', () => {
  afterEach(stopRawServers);

  const identity = makeIdentity('east');
  const tls = { key: identity.keyPem, cert: identity.certificatePem };

  it('compares the pin before the first write, and tells the key it saw', async () => {
    let received = 0;
    const { endpoint } = await startRawServer(quiet, {
      tls,
      greet: (socket) => socket.on('data', (chunk: Buffer) => (received += chunk.length)),
    });
    const other = makeIdentity('east');
    const refusal = await rejection(dial({ endpoint, policy, pins: [other.fingerprint] }), 'pin_mismatch');
    expect(refusal.details).to.match(/127\.0\.0\.1:\d+ shows SHA256:[0-9A-F:]{95}\./);
    await rejection(dial({ endpoint, policy, pins: [] }), 'pin_mismatch');
    expect(received).to.equal(0);
    const dialled = await dial({ endpoint, policy, pins: [other.fingerprint, identity.fingerprint] });
    expect(dialled.fingerprint).to.deep.equal(identity.fingerprint);
    dialled.socket.destroy();
  });

  it('exports the same value on both sides, another one for each connection', async () => {
    const theirs: Buffer[] = [];
    const { endpoint } = await startRawServer(quiet, {
      tls,
      greet: (socket) => theirs.push(exportBinding(socket as TLSSocket)),
    });
    const ours: Buffer[] = [];
    for (let n = 0; n < 2; n++) {
      const dialled = await dial({ endpoint, policy, pins: [identity.fingerprint] });
      ours.push(dialled.exporter!);
      await until('the server has it, too', () => theirs.length === ours.length);
      dialled.socket.destroy();
    }
    expect(ours).to.deep.equal(theirs);
    expect(ours[0]).not.to.deep.equal(ours[1]);
    expect(ours[0]).to.have.length(32);
  });

  it('names the key that it wants, and offers nothing to resume', async () => {
    const names: unknown[] = [];
    const reused: boolean[] = [];
    const { endpoint } = await startRawServer(quiet, {
      tls,
      greet: (socket) => {
        names.push((socket as TLSSocket & { servername?: unknown }).servername);
        reused.push((socket as TLSSocket).isSessionReused());
      },
    });
    for (let n = 0; n < 2; n++) {
      const { socket } = await dial({ endpoint, policy, pins: [identity.fingerprint] });
      socket.end();
      socket.resume();
      await once(socket, 'close');
    }
    expect(names).to.deep.equal([serverNameFor(identity.fingerprint), serverNameFor(identity.fingerprint)]);
    expect(reused).to.deep.equal([false, false]);
  });

  it('speaks TLS 1.3 and nothing older', async () => {
    const { endpoint } = await startRawServer(quiet, { tls: { ...tls, maxVersion: 'TLSv1.2' } });
    await rejection(dial({ endpoint, policy, pins: [identity.fingerprint] }), 'unreachable');
  });

  it('says why a place cannot be reached', async () => {
    const endpoint = { scheme: 'tcp', host: '127.0.0.1', port: await findFreePort() } as const;
    expect((await rejection(dial({ endpoint, policy, pins: [] }), 'unreachable')).details).to.match(/ECONNREFUSED/);
    const nowhere = { ...endpoint, host: 'nowhere.invalid' };
    expect((await rejection(dial({ endpoint: nowhere, policy, pins: [] }), 'unreachable')).details).to.match(
      /ENOTFOUND|EAI_AGAIN/,
    );
  });

  it('gives up on a server that says nothing', async () => {
    const { endpoint } = await startRawServer(quiet, { silent: true });
    const startedAt = performance.now();
    const refusal = await rejection(
      dial({ endpoint: { ...endpoint, scheme: 'tls' }, policy, pins: [identity.fingerprint], timeoutMs: 150 }),
      'unreachable',
    );
    expect(refusal.details).to.contain('no answer within 150 ms');
    expect(performance.now() - startedAt).to.be.within(140, 1000);
    const plainTls = { ...endpoint, scheme: 'tls' } as const;
    const closing = await startRawServer(quiet, { silent: true, greet: (socket) => socket.end() });
    await rejection(dial({ endpoint: { ...plainTls, port: closing.endpoint.port }, policy, pins: [] }), 'unreachable');
  });

  it('asks the policy about the address that a name resolves to', async () => {
    const strict = createDialPolicy({ allow: [], ownAddresses: () => [] });
    const { endpoint } = await startRawServer(quiet);
    for (const host of ['localhost', '127.0.0.1']) {
      const refusal = await rejection(
        dial({ endpoint: { ...endpoint, host }, policy: strict, pins: [] }),
        'dial_refused',
      );
      expect(refusal.details).to.contain(host);
    }
    const asked: string[] = [];
    const spy = { check: (host: string, address: string) => asked.push(`${host} ${address}`) };
    const { socket } = await dial({ endpoint: { ...endpoint, host: 'localhost' }, policy: spy, pins: [] });
    socket.destroy();
    expect(asked).to.include('localhost 127.0.0.1');
  });
});
