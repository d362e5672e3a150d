/** Sessions and channels over the life of two brokers: restarts, several processes, renewal, lost endpoints. */
import { expect } from 'chai';
import type { Channel } from '../../src/client/channel.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import { clientLimits, sessionLimits } from '../../src/core/limits.ts';
import type { Partner } from '../../src/model/partner.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { closeSessions, openSession } from '../../src/rproxy/session.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { createShiftedClock, type ShiftedClock } from '../support/clock.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { startRawServer, stopRawServers } from '../support/rawServer.ts';
import { until } from '../support/until.ts';

describe('sessions', () => {
  let clock: ShiftedClock;
  let east: Cloud;
  let west: Cloud;
  let atWest: Partner;

  const call = (partner = atWest, timeoutMs?: number) =>
    ping(west.installation.pool, 'west', partner, timeoutMs === undefined ? undefined : { timeoutMs });
  const handshakes = async (): Promise<string[]> =>
    (await west.installation.store.sessions.list(atWest.uid))
      .filter((one) => one.direction === 'initiator')
      .map((one) => one.sid)
      .sort();
  const channels = () => west.installation.pool.channels().get(atWest.uid) ?? [];

  /** Those that were there before: what a broker asks by itself may open new ones at once. */
  const allClosed = (those: readonly Channel[]) =>
    until('the channels are closed', () => those.every(({ connection }) => connection.closed));
  const closedAtEast = async () => {
    const before = channels();
    await closeSessions(east.installation.store, await east.partner('west'));
    await allClosed(before);
  };

  async function start(both: Partial<Parameters<typeof startCloud>[0]> = {}): Promise<void> {
    clock = createShiftedClock();
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', clock, ...both }),
      startCloud({ cloudId: 'west', clock, ...both }),
    ]);
    ({ atAcceptor: atWest } = await pairClouds(east, west));
    await call();
  }
  afterEach(async () => {
    await stopClouds();
    await stopRawServers();
  });

  it('survive a restart of either side: no new handshake', async () => {
    await start();
    const before = await handshakes();
    expect(before).to.have.length(1);
    for (const cloud of [west, east]) {
      await cloud.stopBroker();
      await cloud.startBroker();
      await call();
    }
    expect(await handshakes()).to.deep.equal(before);
  });

  it('a call over a channel that has just been lost is made again, if it may be', async () => {
    await start();
    await east.stopBroker();
    await east.startBroker();
    expect((await call()).cloudId).to.equal('east');
  });

  it('are shared by the processes of a broker, and one of them alone shakes hands', async () => {
    await start();
    const others = await Promise.all([1, 2, 3].map(() => west.openSecond()));
    await Promise.all(others.map((other) => ping(other.pool, 'west', atWest)));
    expect(await handshakes()).to.have.length(1);
    const open = [...others, west.installation].flatMap(({ pool }) => pool.channels().get(atWest.uid) ?? []);
    await closeSessions(west.installation.store, atWest);
    await allClosed(open);
    await Promise.all([...others, west.installation].map((one) => ping(one.pool, 'west', atWest)));
    expect(await handshakes()).to.have.length(1);
  });

  it('closed at one side are made anew', async () => {
    await start();
    const before = await handshakes();
    await closedAtEast();
    expect((await call()).cloudId).to.equal('east');
    const after = await handshakes();
    expect(after.filter((sid) => !before.includes(sid))).to.have.length(1);
    // East does not know the session before it, so west had to fall back, and said so.
    expect(
      await west.metric('alliance_handshakes_total', { direction: 'out', outcome: 'session_key_mismatch' }),
    ).to.equal(1);
    expect(await east.metric('alliance_handshakes_total', { direction: 'in', outcome: 'fallback' })).to.equal(1);
  });

  it('lost at the partner a second time within a minute are not made anew before it is over', async () => {
    await start();
    await closedAtEast();
    await call();
    await closedAtEast();
    const refusal = await rejection(call(), 'session_key_mismatch');
    expect(refusal.details).to.contain('less than a minute ago');
    clock.advance(sessionLimits.fallbackEveryMs + 1);
    expect((await call()).cloudId).to.equal('east');
  });

  it('are renewed in time, by a new one that carries continuity on, on a new connection', async () => {
    await start();
    const [first] = channels();
    const [stored] = await west.installation.store.sessions.list(atWest.uid);
    clock.advance((stored!.validTill - stored!.createdAt) * sessionLimits.renewAtShare + 1000);
    await until('a successor has taken over', () => channels().length === 1 && channels()[0] !== first, 4000);
    expect(channels()[0]!.session.sid).not.to.equal(first!.session.sid);
    expect(await east.metric('alliance_handshakes_total', { direction: 'in', outcome: 'optimistic' })).to.equal(1);
    expect((await call()).cloudId).to.equal('east');
    expect(first!.connection.closed).to.equal(true);
  });

  it('a session may be opened by hand; the old channel ends when its calls are answered', async () => {
    await start();
    const [first] = channels();
    const calls = Promise.all(Array.from({ length: 50 }, () => call()));
    const opened = await openSession(west.installation.pool, atWest);
    await calls;
    expect(opened.sid).not.to.equal(first!.session.sid);
    await until('the first one is closed', () => channels().length === 1);
    expect(channels().map((one) => one.session.sid)).to.deep.equal([opened.sid]);
    expect(opened).not.to.have.property('secret');
  });

  it('more channels are opened under load, and no more than so many', async () => {
    await start({ env: { ALLIANCE_PARTNERS__WEST__CALLS_PER_S: '0' } });
    let most = 0;
    const endAt = performance.now() + 400;
    const callAgain = async () => {
      while (performance.now() < endAt) {
        await call();
        most = Math.max(most, channels().length);
      }
    };
    await Promise.all(Array.from({ length: 3 * clientLimits.inFlightBeforeGrowth }, callAgain));
    expect(most).to.be.within(2, clientLimits.channelsPerPartner);
    expect(await handshakes()).to.have.length(1);
  });

  describe('endpoints', () => {
    const withTcp = {
      advertise: ({ tls, tcp }: { tls: number; tcp: number }) => [`tls://127.0.0.1:${tls}`, `tcp://127.0.0.1:${tcp}`],
    };

    async function drop(): Promise<void> {
      for (const channel of [...channels()]) channel.connection.close();
    }
    const setEndpoints = async (endpoints: string[]) => {
      await west.installation.store.partners.update(atWest.uid, { endpoints });
      await west.installation.view.refresh();
    };

    it('a dead one, and a dumb one, are passed over; the good one comes first from then on', async () => {
      await start(withTcp);
      const dead = `tls://127.0.0.1:${await findFreePort()}`;
      const { endpoint } = await startRawServer(() => undefined, { silent: true });
      const good = `tcp://127.0.0.1:${east.ports.tcp}`;
      await setEndpoints([dead, good]);
      await drop();
      expect((await call()).cloudId).to.equal('east');
      expect(channels()[0]!.connection.dialled.endpoint.scheme).to.equal('tcp');
      await drop();
      await setEndpoints([`tcp://127.0.0.1:${endpoint.port}`, good]);
      const startedAt = performance.now();
      expect((await call()).cloudId).to.equal('east');
      expect(performance.now() - startedAt).to.be.lessThan(1000);
    });

    it('one with another certificate is passed over, and sees no byte', async () => {
      await start(withTcp);
      const foreign = await startCloud({ cloudId: 'north' });
      await setEndpoints([`tls://127.0.0.1:${foreign.ports.tls}`, `tls://127.0.0.1:${east.ports.tls}`]);
      await drop();
      expect((await call()).cloudId).to.equal('east');
      await setEndpoints([`tls://127.0.0.1:${foreign.ports.tls}`]);
      await drop();
      await rejection(call(), 'pin_mismatch');
      expect(await foreign.metric('alliance_calls_total')).to.equal(0);
      expect((await west.partner('east')).lastError?.name).to.equal('pin_mismatch');
    });

    it('a partnership bound to TLS uses no plain endpoint', async () => {
      await start();
      expect((await west.partner('east')).binding).to.equal('exporter');
      await setEndpoints([`tcp://127.0.0.1:${east.ports.tcp}`]);
      await drop();
      await rejection(call(), 'unreachable');
    });

    it('what the dial policy refuses is not dialled', async () => {
      await start();
      await setEndpoints(['tls://169.254.169.254:80']);
      await drop();
      await rejection(call(), 'dial_refused');
    });

    it('after some failures in a row the partner is left alone for a moment, and then tried again', async () => {
      await start();
      await east.stopBroker();
      await drop();
      const outcome = () =>
        call().then(
          () => 'ok',
          (error: AllianceError) => error.errorName,
        );
      const seen: string[] = [];
      await until('the circuit is open', async () => {
        seen.push(await outcome());
        return seen.at(-1) === 'circuit_open';
      });
      expect(new Set(seen)).to.deep.equal(new Set(['unreachable', 'circuit_open']));
      const startedAt = performance.now();
      expect(await outcome()).to.equal('circuit_open');
      expect(performance.now() - startedAt).to.be.lessThan(50);
      await east.startBroker();
      await until('it is tried again', async () => (await outcome()) === 'ok', clientLimits.breakerOpenMs + 2000);
    });

    it('a call ends at its deadline, also while there is no channel yet', async () => {
      await start(withTcp);
      const { endpoint } = await startRawServer(() => undefined, { silent: true });
      await setEndpoints([`tcp://127.0.0.1:${endpoint.port}`]);
      await drop();
      const startedAt = performance.now();
      await rejection(call(atWest, 200), 'deadline_exceeded');
      expect(performance.now() - startedAt).to.be.within(190, 1000);
    });
  });

  it('a pool that was closed dials nobody, however late it is asked', async () => {
    await start();
    const { pool } = await west.openSecond();
    pool.close();
    const before = await east.metric('alliance_channels', { direction: 'in' });
    await rejection(ping(pool, 'west', atWest), 'shutting_down');
    await rejection(pool.open(atWest), 'shutting_down');
    expect(await east.metric('alliance_channels', { direction: 'in' })).to.equal(before);
  });

  it('a broker that stops leaves nothing open', async () => {
    await start();
    await west.stopBroker();
    await until('east sees it', async () => (await east.metric('alliance_channels', { direction: 'in' })) === 0);
    await east.stopBroker();
  });
});
