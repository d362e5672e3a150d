/** The end of a broker does not wait for those who do not answer. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import type { CloudId } from '../../src/core/ids.ts';
import type { PartnerChanges } from '../../src/model/partner.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { makeIdentity } from '../support/identity.ts';
import { RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

/** Enough for a busy machine, and less than any time-out of a call. */
const soonMs = 1500;

describe('the end of a broker', () => {
  let cloud: Cloud;
  let keystone: SandboxKeystone;
  let dumb: Server;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    // Takes connections and never says a word.
    dumb = createServer((socket) => sockets.add(socket.on('error', () => undefined).resume())).listen(0, '127.0.0.1');
    await once(dumb, 'listening');
    keystone = await startSandboxKeystone();
    cloud = await startCloud({ cloudId: 'east', keystone, pauses: { noticeMs: 20, bundleMs: 20, keystoneMs: 20 } });
  });
  afterEach(async () => {
    await stopClouds();
    await keystone.stop();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    dumb.close();
  });

  async function addPartner(name: string, changes: PartnerChanges = {}): Promise<void> {
    const { store, view } = cloud.installation;
    const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = makeIdentity(name);
    const { port } = dumb.address() as AddressInfo;
    const { uid } = await store.partners.add({
      cloudId: name as CloudId,
      role: 'both',
      state: 'active',
      endpoints: [`tls://127.0.0.1:${port}`, `tls://localhost:${port}`],
      key: { fingerprint, algorithm, certificateDer, notBefore, notAfter },
      binding: 'exporter',
      acknowledgedSequence: view.current.sequence,
    });
    await store.partners.update(uid, changes);
    await view.refresh();
  }

  async function stopsSoon(): Promise<void> {
    const startedAt = performance.now();
    await cloud.stopBroker();
    expect(performance.now() - startedAt).to.be.lessThan(soonMs);
    await until('every connection is gone', () => [...sockets].every((socket) => socket.readyState !== 'open'), soonMs);
  }

  it('waits for no partner that is to be told of the end of its trust; each is tried, whatever the others do', async () => {
    for (const name of ['north', 'south']) await addPartner(name, { noticePending: 'revoked' });
    await until('both are tried', () => sockets.size >= 2);
    await stopsSoon();
  });

  it('waits for no partner that it asks for something', async () => {
    await addPartner('north');
    await until('it is tried', () => sockets.size > 0);
    await stopsSoon();
  });

  it('waits for no Keystone that hangs, and whoever asks twice waits for the same end', async () => {
    keystone.faults.always('hang');
    const before = keystone.faults.hits;
    await until('Keystone is asked', () => keystone.faults.hits > before);
    const both = Promise.all([cloud.broker.stop(), cloud.broker.stop()]);
    await stopsSoon();
    await both;
  });

  it('closes its doors before a task has ended', async () => {
    await addPartner('north', { noticePending: 'revoked' });
    await until('it is tried', () => sockets.size > 0);
    const stopped = cloud.stopBroker();
    const code = await RawPeer.tcp(cloud.ports.tcp).catch((error: NodeJS.ErrnoException) => error.code);
    expect(code).to.equal('ECONNREFUSED');
    await stopped;
  });
});
