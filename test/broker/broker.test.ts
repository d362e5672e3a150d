/** One broker from its home directory to its end. */

import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { startBroker } from '../../src/broker/broker.ts';
import { rotateIdentity } from '../../src/broker/identity.ts';
import { initHome } from '../../src/broker/init.ts';
import { openInstallation } from '../../src/broker/installation.ts';
import { silentLogger } from '../../src/core/log.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

const bare = { ALLIANCE_LOG__LEVEL: 'silent' };

describe('a home directory', () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());
  const init = (more: Partial<Parameters<typeof initHome>[0]> = {}) =>
    initHome({ home: directory.path, env: bare, cloudId: 'east', advertise: ['tls://east.example:9443'], ...more });
  const ownKey = (kind: 'P-256' | 'Ed25519' = 'P-256', cloudId = 'east') => {
    const { keyPem, certificatePem } = makeIdentity(cloudId, kind);
    writeFileSync(directory.file('key.pem'), keyPem, { mode: 0o600 });
    writeFileSync(directory.file('certificate.pem'), certificatePem);
  };

  it('is made with an RSA key, a certificate of its hosts, and files that only the owner reads', async () => {
    const { identity } = await init();
    expect([identity.algorithm, identity.state, identity.sequence]).to.deep.equal(['PS256', 'current', 1]);
    for (const name of ['key.pem', 'kek', 'alliance.yaml', 'alliance.db'])
      expect(statSync(directory.file(name)).mode & 0o077, name).to.equal(0);
    const opened = await openInstallation({ home: directory.path, env: bare });
    expect(opened.view.current.identity.certificate.subjectAltName).to.equal('DNS:east.example');
    expect(opened.card('both').binding).to.equal('exporter');
    await opened.close();
  });

  it('is made once', async () => {
    ownKey();
    await init();
    const config = readFileSync(directory.file('alliance.yaml'), 'utf8');
    await rejection(init(), 'already_initialised');
    await rejection(init({ cloudId: 'west' }), 'already_initialised');
    expect(readFileSync(directory.file('alliance.yaml'), 'utf8')).to.equal(config);
  });

  it('goes on where a killed run has stopped', async () => {
    ownKey('Ed25519');
    await init();
    const kek = readFileSync(directory.file('kek'));
    for (const name of ['alliance.db', 'alliance.db-wal', 'alliance.db-shm'])
      if (existsSync(directory.file(name))) writeFileSync(directory.file(name), '');
    const { identity } = await init();
    expect(identity.algorithm).to.equal('EdDSA');
    expect(readFileSync(directory.file('kek'))).to.deep.equal(kek);
  });

  it('certifies a key that is there without a certificate, and never replaces one', async () => {
    const { keyPem } = makeIdentity('east', 'RSA-3072');
    writeFileSync(directory.file('key.pem'), keyPem, { mode: 0o600 });
    const { identity } = await init();
    expect(identity.algorithm).to.equal('PS256');
    expect(readFileSync(directory.file('key.pem'), 'utf8')).to.equal(keyPem);
    await (await openInstallation({ home: directory.path, env: bare })).close();
  });

  it('is not made of a half that cannot be completed', async () => {
    ownKey();
    const key = readFileSync(directory.file('key.pem'));
    const certificate = readFileSync(directory.file('certificate.pem'));
    rmSync(directory.file('certificate.pem'));
    expect((await rejection(init(), 'configuration')).remedy).to.contain('openssl req');
    expect(readFileSync(directory.file('key.pem'))).to.deep.equal(key);

    renameSync(directory.file('key.pem'), directory.file('elsewhere.pem'));
    writeFileSync(directory.file('certificate.pem'), certificate);
    expect((await rejection(init(), 'configuration')).details).to.contain('but not its key');
    expect(existsSync(directory.file('key.pem'))).to.equal(false);
    expect(readFileSync(directory.file('certificate.pem'))).to.deep.equal(certificate);
  });

  it('is one, however many make it at a time', async () => {
    const outcomes = await Promise.allSettled([init(), init(), init()]);
    const refusals = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason.errorName] : []));
    expect(refusals).to.deep.equal(['already_initialised', 'already_initialised']);
    await (await openInstallation({ home: directory.path, env: bare })).close();
    expect(readdirSync(directory.path).filter((name) => name.endsWith('.new'))).to.deep.equal([]);
  });

  it('belongs to its user, also where root works on it', async function () {
    if (process.getuid?.() !== 0) this.skip();
    chownSync(directory.path, 65534, 65534);
    await init();
    const installation = await openInstallation({ home: directory.path, env: bare });
    await rotateIdentity(installation);
    await installation.close();
    for (const name of readdirSync(directory.path, { recursive: true }) as string[])
      expect(statSync(directory.file(name)).uid, name).to.equal(65534);
    expect(readdirSync(directory.file('identities'))).to.have.length(1);
  });

  it('whose private key others can read is refused, unless the key is encrypted', async () => {
    const env = { ...bare, ALLIANCE_IDENTITY__PASSPHRASE: 'open sesame' };
    await init({ env });
    chmodSync(directory.file('key.pem'), 0o640);
    await (await openInstallation({ home: directory.path, env })).close();
    ownKey();
    chmodSync(directory.file('key.pem'), 0o640);
    rmSync(directory.file('alliance.db'));
    const refusal = await rejection(init(), 'configuration');
    expect(refusal.remedy).to.contain(`chmod 600 ${directory.file('key.pem')}`);
    chmodSync(directory.file('key.pem'), 0o600);
    await init();
    chmodSync(directory.file('key.pem'), 0o604);
    await rejection(openInstallation({ home: directory.path, env: bare }), 'configuration');
  });

  it('whose database is empty beside a key says that it may have been lost', async () => {
    ownKey();
    await init();
    rmSync(directory.file('alliance.db'));
    const lost = await rejection(openInstallation({ home: directory.path, env: bare }), 'not_initialised');
    expect(lost.remedy).to.contain('alliance restore');
  });

  it('keeps its key under a passphrase where one is configured', async () => {
    const env = { ...bare, ALLIANCE_IDENTITY__PASSPHRASE: 'open sesame' };
    await init({ env });
    expect(readFileSync(directory.file('key.pem'), 'utf8')).to.contain('ENCRYPTED PRIVATE KEY');
    await (await openInstallation({ home: directory.path, env })).close();
    await rejection(openInstallation({ home: directory.path, env: bare }), 'configuration');
  });

  it('that is none, or whose certificate was exchanged by hand, is refused', async () => {
    await rejection(openInstallation({ home: directory.file('nowhere'), env: bare }), 'not_initialised');
    ownKey();
    await init();
    ownKey();
    const refusal = await rejection(openInstallation({ home: directory.path, env: bare }), 'configuration');
    expect(refusal.details).to.contain('identity rotate');

    // What the refusal recommends works.
    const installation = await openInstallation({ home: directory.path, env: bare, anyIdentity: true });
    const own = {
      keyPem: readFileSync(directory.file('key.pem'), 'utf8'),
      certificatePem: readFileSync(directory.file('certificate.pem'), 'utf8'),
    };
    await rejection(rotateIdentity(installation, { own }), 'rotation_refused');
    const { sequence } = await rotateIdentity(installation, { own, compromised: true });
    await installation.close();
    const opened = await openInstallation({ home: directory.path, env: bare });
    expect(opened.view.current.sequence).to.equal(sequence);
    await opened.close();
  });

  it('takes no word that is no cloud_id or endpoint', async () => {
    await rejection(init({ cloudId: 'East Cloud' }), 'bad_request');
    await rejection(init({ cloudId: 'all' }), 'name_reserved');
    await rejection(init({ advertise: ['https://east.example'] }), 'bad_request');
    expect(existsSync(directory.file('alliance.db'))).to.equal(false);
  });
});

describe('a broker', () => {
  let cloud: Cloud;
  beforeEach(async () => {
    cloud = await startCloud({ cloudId: 'east', pauses: { keystoneMs: 20 } });
  });
  afterEach(stopClouds);

  it('listens where it says, and nowhere after its end', async () => {
    const { tls, tcp, http } = cloud.broker.addresses;
    expect([tls!.port, tcp!.port]).to.deep.equal([cloud.ports.tls, cloud.ports.tcp]);
    expect(http!.port).to.be.greaterThan(0);
    for (const peer of [await RawPeer.tcp(tcp!.port), await RawPeer.tls(tls!.port)])
      expect((await peer.ping()).cloud_id).to.equal('east');
    await cloud.stopBroker();
    await cloud.broker.stop();
    expect(await RawPeer.tcp(tcp!.port).catch((error: NodeJS.ErrnoException) => error.code)).to.equal('ECONNREFUSED');
  });

  it('that finds an address taken says which, and leaves nothing behind', async () => {
    await cloud.stopBroker();
    const blocker = createServer().listen(cloud.ports.tcp, '127.0.0.1');
    await once(blocker, 'listening');
    const refusal = await rejection(cloud.startBroker(), 'configuration');
    expect(refusal.details).to.contain(`127.0.0.1:${cloud.ports.tcp}: EADDRINUSE`);
    blocker.close();
    await once(blocker, 'close');
    await cloud.startBroker();
    expect((await (await RawPeer.tls(cloud.ports.tls)).ping()).response_data).to.equal('pong');
  });

  it('whose database file was replaced trusts nobody, and says so', async () => {
    const raw = await (await PartnerPeer.join(cloud)).channel();
    expect((await raw.ping()).response_data).to.equal('pong');
    const path = join(cloud.home, 'alliance.db');
    copyFileSync(path, `${path}.copy`);
    const lost = new Promise<void>((resolve) =>
      cloud.installation.view.onLook(() => cloud.installation.view.lost && resolve()),
    );
    renameSync(`${path}.copy`, path);
    await lost;
    await raw.closed;
    const answer = await fetch(`http://127.0.0.1:${cloud.broker.addresses.http!.port}/readyz`);
    const { checks } = (await answer.json()) as { checks: Record<string, string> };
    expect([answer.status, checks.database, checks.trust]).to.deep.equal([503, 'database_replaced', 'lost']);
  });

  it('opens no door that is off', async () => {
    await cloud.stopBroker();
    const port = await findFreePort();
    const { home, env } = cloud;
    const listen = { tls: null, tcp: { host: '127.0.0.1', port }, http: null };
    const broker = await startBroker({ home, env, listen, log: silentLogger });
    expect(broker.addresses).to.deep.equal({ tls: null, tcp: { host: '127.0.0.1', port }, http: null, facade: null });
    await broker.stop();
  });

  it('takes over what can be reloaded, and says what needs a restart', async () => {
    const raw = await (await PartnerPeer.join(cloud)).channel();
    const file = join(cloud.home, 'alliance.yaml');
    const before = readFileSync(file, 'utf8');
    expect(await cloud.broker.reload()).to.deep.equal({ applied: [], needRestart: [] });
    cloud.env.ALLIANCE_PARTNERS__PEER__CALLS_PER_S = '1';
    cloud.env.ALLIANCE_PARTNERS__PEER__CALLS_BURST = '1';
    cloud.env.ALLIANCE_LISTEN__TCP = '127.0.0.1:1';
    const { applied, needRestart } = await cloud.broker.reload();
    expect(applied.join()).to.contain('partners');
    expect(needRestart).to.deep.equal(['listen.tcp']);
    await rejection(
      raw.ping().then(() => raw.ping()),
      'rate_limited',
    );
    writeFileSync(file, `${before}\nnonsense: 1\n`);
    const config = cloud.installation.config;
    expect((await rejection(cloud.broker.reload(), 'configuration')).message).to.contain('nonsense');
    expect(cloud.installation.config).to.equal(config);
  });

  it('is ready without its Keystone, which it says; and tells its state in metrics', async () => {
    await PartnerPeer.join(cloud, 'north', { trustTill: Date.now() + 10 * 86_400_000 });
    const says = (keystone: string) =>
      until(`ready, and Keystone is ${keystone}`, async () => {
        const answer = await fetch(`http://127.0.0.1:${cloud.broker.addresses.http!.port}/readyz`);
        const wanted = { status: 'ready', checks: { database: 'ok', keystone } };
        return answer.status === 200 && isDeepStrictEqual(await answer.json(), wanted);
      });
    await says('ok');
    await cloud.keystone.stop();
    await says('keystone_unreachable');
    expect(await cloud.metric('alliance_partners', { state: 'active' })).to.equal(1);
    expect(await cloud.metric('alliance_trust_expiry_days', { partner: 'north' })).to.be.closeTo(10, 0.01);
    const unconfirmed = 'alliance_revocations_unconfirmed_seconds';
    expect(await cloud.metric(unconfirmed, { partner: 'north' }), 'a partner that cannot be reached').to.be.at.least(0);
    expect(await cloud.metric('alliance_certificate_expiry_days')).to.be.greaterThan(300);
    expect(await cloud.metric('alliance_database_up')).to.equal(1);
  });
});
