/** How much of a broker one peer can use up, over real sockets. */

import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import type { SandboxKeystone } from '../../src/sandbox/keystone.ts';
import { startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { PairRequest, ServiceFilter, SessionTKT, ValidateTokenRequest } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, type CloudOptions, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, pingBytes, RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

describe('limits of the server', () => {
  const clock = createShiftedClock();
  let cloud: Cloud;
  let keystone: SandboxKeystone;

  async function start(options: Omit<CloudOptions, 'cloudId'> = {}): Promise<Cloud> {
    cloud = await startCloud({ cloudId: 'east', clock, ...options });
    return cloud;
  }
  before(async () => {
    keystone = await startSandboxKeystone({ region: 'east' });
  });
  after(() => keystone.stop());
  afterEach(async () => {
    keystone.faults.clear();
    await stopClouds();
  });

  const connect = (from?: string) => RawPeer.tcp(cloud.ports.tcp, from);
  const refusals = (reason: string) => cloud.metric('alliance_refusals_total', { reason });
  const anyTicket = () => new SessionTKT({ cloud_id: 'x', signature: 'a..b', pki_data: 'a' });

  describe('strangers', () => {
    it('so many calls a second and address, more at once, and none is lost of another address', async () => {
      await start({
        env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '2', ALLIANCE_LIMITS__UNAUTHENTICATED_BURST: '5' },
      });
      const raw = await connect();
      for (let n = 0; n < 5; n++) await raw.ping();
      const refusal = await rejection(raw.ping(), 'rate_limited');
      expect(refusal.retryAfterMs).to.be.within(1, 500);
      await rejection((await connect()).ping(), 'rate_limited');
      await rejection((await connect()).call('getSession', anyTicket()), 'rate_limited');
      expect((await (await connect('127.0.0.2')).ping()).response_data).to.equal('pong');
      clock.advance(500);
      // Those that were refused are not read from for a while, on the clock of the wall.
      const late = await connect();
      expect((await late.ping()).response_data).to.equal('pong');
      await rejection(late.ping(), 'rate_limited');
      expect(await refusals('rate')).to.equal(4);
    });

    it('0 switches that off', async () => {
      await start({
        env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0', ALLIANCE_LIMITS__UNAUTHENTICATED_BURST: '1' },
      });
      const raw = await connect();
      for (let n = 0; n < 300; n++) await raw.ping();
    });

    it('four handshake calls a connection, known or not', async () => {
      await start();
      const raw = await connect();
      for (let n = 0; n < 4; n++) await rejection(raw.call('getSession', anyTicket()), 'ticket_unreadable');
      raw.send(callBytes('getSession', anyTicket()));
      expect(await raw.next()).to.equal(undefined);
      expect(await refusals('rate_limited')).to.equal(1);
    });

    it('one handshake call at a time: what follows waits for its answer', async () => {
      await start();
      const peer = await PartnerPeer.join(cloud);
      const { ticket } = await peer.request();
      const wrong = new SessionTKT({ cloud_id: 'nobody', signature: ticket.signature, pki_data: ticket.pkiData });
      const raw = await connect();
      const startedAt = performance.now();
      raw.send(Buffer.concat([callBytes('getSession', wrong, 1), pingBytes(2)]));
      expect((await raw.next())!.toString('latin1')).to.contain('getSession');
      expect(performance.now() - startedAt).to.be.greaterThan(48);
      expect((await raw.next())!.toString('latin1')).to.contain('pong');
    });

    it('frames of at most 16 KiB', async () => {
      await start();
      const raw = await connect();
      raw.send(callBytes('getSession', new SessionTKT({ ...anyTicket(), signature: 'a'.repeat(16_384) })));
      await raw.closed;
      expect(await refusals('frame_too_large')).to.equal(1);
    });

    it('are closed when idle, and after a while in any case; who only pings may stay', async () => {
      await start({ limits: { plainIdleMs: 300, plainTotalMs: 900, plainPingTotalMs: 60_000 } });
      const idle = await connect();
      const talker = await connect();
      const pinger = await connect();
      await rejection(talker.call('pair', new PairRequest({})), 'pairing_needs_tls');
      const startedAt = performance.now();
      while (!talker.isClosed && performance.now() - startedAt < 3000) {
        talker.send(pingBytes());
        await pinger.ping();
        await delay(50);
      }
      expect(idle.isClosed).to.equal(true);
      expect(talker.isClosed).to.equal(true);
      expect(performance.now() - startedAt).to.be.within(800, 2000);
      expect((await pinger.ping()).response_data).to.equal('pong');
      expect([await refusals('plain_idle'), await refusals('plain_age')]).to.deep.equal([1, 1]);
    });

    it('so many connections of an address, and in all; a closed one makes room', async () => {
      await start({
        env: { ALLIANCE_LIMITS__CONNECTIONS_PER_ADDRESS: '3', ALLIANCE_LIMITS__CONNECTIONS: '5' },
      });
      const first = [await connect(), await connect(), await RawPeer.tcp(cloud.ports.tls)];
      await first[0]!.ping();
      const fourth = await connect();
      await fourth.closed;
      const others = [await connect('127.0.0.2'), await connect('127.0.0.3')];
      for (const raw of others) await raw.ping();
      await (await connect('127.0.0.4')).closed;
      expect(await refusals('connections')).to.equal(2);
      first[1]!.close();
      await until('a place is free', async () => {
        const raw = await connect();
        return raw.ping().then(
          () => true,
          () => false,
        );
      });
    });

    it('a TLS handshake that does not go on is ended', async () => {
      await start({ limits: { tlsHandshakeTimeoutMs: 200 } });
      const raw = await RawPeer.tcp(cloud.ports.tls);
      await raw.closed;
      expect(await refusals('tls')).to.equal(1);
    });

    it('so many TLS handshakes a second and address; 0 for plain calls switches that off', async () => {
      await start({ limits: { tlsHandshakesPerS: 1, tlsHandshakesBurst: 3 } });
      for (let n = 0; n < 3; n++) await (await RawPeer.tls(cloud.ports.tls)).ping();
      expect(String(await RawPeer.tls(cloud.ports.tls).catch((error: Error) => error))).to.match(
        /disconnected|ECONNRESET/,
      );
      expect(await refusals('tls_rate')).to.equal(1);
      expect((await (await connect()).ping()).response_data).to.equal('pong');
      clock.advance(1000);
      await (await RawPeer.tls(cloud.ports.tls)).ping();
      await cloud.stop();
      await start({
        limits: { tlsHandshakesPerS: 1, tlsHandshakesBurst: 3 },
        env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0' },
      });
      for (let n = 0; n < 6; n++) await (await RawPeer.tls(cloud.ports.tls)).ping();
    });

    it('cannot pair without TLS', async () => {
      await start();
      await rejection((await connect()).call('pair', new PairRequest({})), 'pairing_needs_tls');
    });
  });

  describe('TLS', () => {
    const tlsTo = async (options: object) => {
      const socket = connectTls({ port: cloud.ports.tls, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      await once(socket, 'secureConnect');
      return socket;
    };

    it('1.3 and nothing older', async () => {
      await start();
      const socket = await tlsTo({});
      expect(socket.getProtocol()).to.equal('TLSv1.3');
      socket.destroy();
      let thrown: unknown;
      await tlsTo({ maxVersion: 'TLSv1.2' }).catch((error: unknown) => {
        thrown = error;
      });
      expect(String(thrown)).to.match(/protocol version/);
    });

    for (const servername of [undefined, 'somebody.invalid'])
      it(`no session can be resumed (SNI: ${servername ?? 'none'})`, async () => {
        await start();
        const first = await tlsTo({ servername });
        const offered: Buffer[] = [];
        first.on('session', (session: Buffer) => offered.push(session));
        first.write(pingBytes());
        await once(first, 'data');
        await delay(20);
        first.destroy();
        const socket = await tlsTo({ servername, session: offered.at(-1) });
        expect(socket.isSessionReused()).to.equal(false);
        expect(socket.getPeerCertificate().raw).to.be.instanceOf(Buffer);
        socket.destroy();
      });
  });

  describe('partners', () => {
    it('so many calls a second, and more at once', async () => {
      await start({ env: { ALLIANCE_PARTNERS__PEER__CALLS_PER_S: '10', ALLIANCE_PARTNERS__PEER__CALLS_BURST: '5' } });
      const peer = await PartnerPeer.join(cloud);
      const raw = await peer.channel();
      for (let n = 0; n < 4; n++) await raw.ping();
      const refusal = await rejection(raw.ping(), 'rate_limited');
      expect(refusal.retryAfterMs).to.be.within(1, 100);
      const other = await PartnerPeer.join(cloud, 'north');
      expect((await (await other.channel()).ping()).response_data).to.equal('pong');
      clock.advance(100);
      expect((await raw.ping()).response_data).to.equal('pong');
    });

    it('so many calls in flight, over all channels', async () => {
      await start({ keystone, env: { ALLIANCE_PARTNERS__PEER__IN_FLIGHT: '4' } });
      keystone.faults.always('slow', { delayMs: 400, match: { path: /services/ } });
      const peer = await PartnerPeer.join(cloud);
      const session = await peer.agree(await peer.connect());
      const raws = [await peer.channel(session), await peer.channel(session)];
      const outcomes = await Promise.all(
        [0, 1, 0, 1, 0, 1].map((at, n) => {
          raws[at]!.sendSealed(callBytes('getServices', new ServiceFilter({}), 100 + n));
          return raws[at]!.next().then((message) => message!.toString('latin1').includes('The broker is busy'));
        }),
      );
      expect(outcomes.filter((busy) => busy)).to.have.length(2);
      expect(await refusals('in_flight')).to.equal(2);
      expect((await raws[0]!.ping()).response_data).to.equal('pong');
    });

    it('so many calls in flight on a connection: the next ones are not read before', async () => {
      await start({ keystone, env: { ALLIANCE_LIMITS__IN_FLIGHT_PER_CONNECTION: '2' } });
      keystone.faults.next('slow', { count: 2, delayMs: 300, match: { path: /services/ } });
      const peer = await PartnerPeer.join(cloud);
      const raw = await peer.channel();
      const slow = (seqid: number) => callBytes('getServices', new ServiceFilter({}), seqid);
      raw.sendSealed(Buffer.concat([slow(101), slow(102), pingBytes(103), pingBytes(104)]));
      const order: string[] = [];
      for (let n = 0; n < 4; n++) order.push((await raw.next())!.toString('latin1').includes('pong') ? 'ping' : 'slow');
      expect(order[0]).to.equal('slow');
      expect(order.sort()).to.deep.equal(['ping', 'ping', 'slow', 'slow']);
    });

    it('answers overtake each other below that bound', async () => {
      await start({ keystone });
      keystone.faults.next('slow', { delayMs: 200, match: { path: /services/ } });
      const raw = await (await PartnerPeer.join(cloud)).channel();
      raw.sendSealed(Buffer.concat([callBytes('getServices', new ServiceFilter({}), 7), pingBytes(8)]));
      expect((await raw.next())!.toString('latin1')).to.contain('pong');
      expect((await raw.next())!.toString('latin1')).to.contain('getServices');
    });

    it('so many bytes a second: then it is read from more slowly', async () => {
      await start({ env: { ALLIANCE_PARTNERS__PEER__BYTES_PER_S: '20000' } });
      const peer = await PartnerPeer.join(cloud);
      const raw = await peer.channel();
      const pings = Buffer.concat(Array.from({ length: 400 }, (_, n) => pingBytes(n + 1)));
      expect(pings.length).to.be.within(10_000, 19_000);
      const timed = async (messages: Buffer, count: number) => {
        const startedAt = performance.now();
        raw.sendSealed(messages);
        for (let n = 0; n < count; n++) await raw.next();
        return performance.now() - startedAt;
      };
      expect(await timed(pings, 400)).to.be.lessThan(500);
      const startedAt = performance.now();
      for (let n = 0; n < 3; n++) await timed(pings, 400);
      const overdrawnBytes = 4 * pings.length - 20_000;
      expect(performance.now() - startedAt).to.be.within((overdrawnBytes / 20_000) * 1000 - 200, 5000);
      const other = await PartnerPeer.join(cloud, 'north');
      const otherStartedAt = performance.now();
      await (await other.channel()).ping();
      expect(performance.now() - otherStartedAt).to.be.lessThan(1000);
    });

    it('so few requests to Keystone at a time, so that others find it free', async () => {
      await start({ keystone, env: { ALLIANCE_LIMITS__KEYSTONE_CONCURRENCY_PER_PARTNER: '2' } });
      const raw = await (await PartnerPeer.join(cloud)).channel();
      const other = await (await PartnerPeer.join(cloud, 'north')).channel();
      await other.call('getServices', new ServiceFilter({}));
      keystone.faults.next('slow', { count: 20, delayMs: 250, match: { path: /auth.tokens/, method: 'GET' } });
      const seen = keystone.requests.length;
      for (let n = 0; n < 6; n++)
        raw.sendSealed(callBytes('validateTokenHard', new ValidateTokenRequest({ token: `t${n}` }), 20 + n));
      await delay(100);
      expect(keystone.requests.length - seen).to.equal(2);
      const startedAt = performance.now();
      await other.call('getServices', new ServiceFilter({}));
      expect(performance.now() - startedAt).to.be.lessThan(200);
      for (let n = 0; n < 6; n++) await raw.next();
    });

    it('an idle channel is closed', async () => {
      await start({ limits: { channelIdleMs: 300 } });
      const raw = await (await PartnerPeer.join(cloud)).channel();
      await raw.closed;
      expect(await refusals('channel_idle')).to.equal(1);
    });
  });

  describe('the end of the broker', () => {
    it('waits for calls in flight, takes no new ones, and ends the rest after a while', async () => {
      await start({ keystone, limits: { drainOnShutdownMs: 600 } });
      keystone.faults.next('slow', { delayMs: 300, match: { path: /services/ } });
      keystone.faults.next('hang', { match: { path: /services/ } });
      const peer = await PartnerPeer.join(cloud);
      const session = await peer.agree(await peer.connect());
      const [quick, stuck, idle] = [
        await peer.channel(session),
        await peer.channel(session),
        await peer.channel(session),
      ];
      quick.sendSealed(callBytes('getServices', new ServiceFilter({}), 11));
      await until('Keystone is asked', () => keystone.faults.hits > 0);
      stuck.sendSealed(callBytes('getServices', new ServiceFilter({}), 12));
      await delay(50);
      const startedAt = performance.now();
      const stopped = cloud.stopBroker();
      await idle.closed;
      expect(performance.now() - startedAt).to.be.lessThan(200);
      quick.sendSealed(pingBytes(13));
      expect((await quick.next())!.toString('latin1')).to.contain('shutting down');
      expect((await quick.next())!.toString('latin1')).to.contain('identity');
      expect(await quick.next()).to.equal(undefined);
      expect(await stuck.next()).to.equal(undefined);
      await stopped;
      expect(performance.now() - startedAt).to.be.within(550, 2000);
      const late = await RawPeer.tcp(cloud.ports.tcp).catch((error: NodeJS.ErrnoException) => error.code);
      expect(late).to.equal('ECONNREFUSED');
    });
  });
});
