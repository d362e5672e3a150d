/** attach and what comes after it, over real sockets: replays, forgeries, quotas, time-outs. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import Database from 'better-sqlite3';
import { expect } from 'chai';
import type { AgreedSession } from '../../src/channel/handshake.ts';
import { exportBinding } from '../../src/client/dial.ts';
import { connectionLimits } from '../../src/core/limits.ts';
import { AttachRequest, AuthenticateRequest, PingRequest, SessionTKT } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, lengthOf, pingBytes, RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

describe('attach and channel', () => {
  const clock = createShiftedClock();
  let cloud: Cloud;
  let peer: PartnerPeer;
  let session: AgreedSession;

  beforeEach(async () => {
    cloud = await startCloud({
      cloudId: 'east',
      clock,
      limits: { confirmTimeoutMs: 400 },
      env: { ALLIANCE_PARTNERS__PEER__CHANNELS: '2' },
    });
    peer = await PartnerPeer.join(cloud);
    const raw = await peer.connect();
    session = await peer.agree(raw);
    raw.close();
  });
  afterEach(stopClouds);

  const refusals = (reason: string) => cloud.metric('alliance_refusals_total', { reason });
  const channels = () => cloud.metric('alliance_channels', { direction: 'in' });

  /** Attaches, as whoever recorded the request would: without the keys that come of it. */
  async function replay(request: AttachRequest): Promise<RawPeer> {
    const raw = await peer.connect();
    await raw.call('attach', request);
    return raw;
  }

  describe('attach', () => {
    it('whatever is wrong, the answer is the same, and the end', async () => {
      const good = peer.startAttach(session).request;
      const suspended = await PartnerPeer.join(cloud, 'north');
      const theirs = await suspended.agree(await suspended.connect());
      await cloud.installation.store.partners.apply(suspended.partner.uid, 'suspend');
      await cloud.installation.view.refresh();
      const wrongs: [string, Partial<AttachRequest>][] = [
        ['unknown sid', { sid: randomBytes(16) }],
        ['short sid', { sid: Buffer.alloc(3) }],
        ['wrong mac', { mac: randomBytes(32) }],
        ['short mac', { mac: Buffer.alloc(0) }],
        ['short epk', { epk: Buffer.alloc(31) }],
        ['short nonce', { nonce: Buffer.alloc(0) }],
        ['another epk', { epk: randomBytes(32) }],
        ['another nonce', { nonce: randomBytes(32) }],
        ["another partner's session", { sid: theirs.sid }],
        ['a partner that is suspended', suspended.startAttach(theirs).request],
      ];
      const answers = new Set<string>();
      for (const [what, change] of wrongs) {
        const raw = await peer.connect();
        raw.send(callBytes('attach', new AttachRequest({ ...good, ...change })));
        // What follows is not even read.
        raw.send(pingBytes());
        const answer = await raw.next();
        expect(answer, what).not.to.equal(undefined);
        answers.add(answer!.toString('hex'));
        expect(await raw.next(), what).to.equal(undefined);
      }
      expect(answers.size).to.equal(1);
      expect([...answers][0]).to.contain(Buffer.from('The session is not valid.').toString('hex'));
      expect(await refusals('attach')).to.equal(wrongs.length);
    });

    it('a session of the other direction is none', async () => {
      const { store } = cloud.installation;
      const [facts] = await store.sessions.list(peer.partner.uid);
      const stored = (await store.sessions.findLive(facts!.sid, 'responder', clock.now()))!;
      await store.sessions.close(facts!.sid);
      await store.sessions.insert({ ...stored, direction: 'initiator' });
      const raw = await peer.connect();
      await rejection(peer.attach(raw, session), 'session_invalid');
      await raw.closed;
    });

    it('a replayed one gets no further than an unconfirmed connection, which costs the partner nothing', async () => {
      const { request } = peer.startAttach(session);
      const recorded = new AttachRequest({ ...request });
      const before = (await cloud.partner('peer')).lastContact;
      const replays = [await replay(recorded), await replay(recorded), await replay(recorded), await replay(recorded)];
      expect(await channels()).to.equal(0);

      const both = [await peer.channel(session), await peer.channel(session)];
      expect(await channels()).to.equal(2);
      for (const raw of both) expect((await raw.ping()).response_data).to.equal('pong');

      await Promise.all(replays.map((raw) => raw.closed));
      expect(await refusals('unconfirmed')).to.equal(4);
      for (const raw of both) expect((await raw.ping()).response_data).to.equal('pong');
      expect((await cloud.partner('peer')).lastContact).not.to.equal(before);
    });

    it('neither do bytes that a replayer sends after it', async () => {
      const flooded = await startCloud({
        cloudId: 'west',
        clock,
        limits: { confirmTimeoutMs: 2000 },
        env: { ALLIANCE_PARTNERS__PEER__BYTES_PER_S: '1000' },
      });
      const there = await PartnerPeer.join(flooded);
      const agreed = await there.agree(await there.connect());
      const recorded = new AttachRequest({ ...there.startAttach(agreed).request });
      const raw = await there.connect();
      await raw.call('attach', recorded);
      raw.send(Buffer.concat([lengthOf(500_000), Buffer.from([0xa1]), Buffer.alloc(400_000)]));
      await delay(100);
      const channel = await there.channel(agreed);
      const startedAt = performance.now();
      await channel.ping();
      expect(performance.now() - startedAt).to.be.lessThan(1000);
    });

    it('is refused over the number of channels, also where many are confirmed at once', async () => {
      const opened = await Promise.all(
        [1, 2, 3, 4].map(async () => {
          const raw = await peer.connect();
          await peer.attach(raw, session);
          return raw;
        }),
      );
      const outcomes = await Promise.all(
        opened.map((raw) =>
          raw.ping().then(
            () => 'pong',
            () => 'closed',
          ),
        ),
      );
      expect(outcomes.sort()).to.deep.equal(['closed', 'closed', 'pong', 'pong']);
      await rejection(peer.attach(await peer.connect(), session), 'overloaded');
      expect(await refusals('overloaded')).to.equal(3);
    });

    it('with a binding agreed at pairing it has to be bound to this very TLS connection', async () => {
      const bound = await PartnerPeer.join(cloud, 'north', { binding: 'exporter' });
      const agreed = await bound.agree(await bound.connect());
      await rejection(bound.attach(await bound.connect(), agreed), 'session_invalid');
      const overTls = () => RawPeer.tls(cloud.ports.tls);
      await rejection(bound.attach(await overTls(), agreed), 'session_invalid');
      const [one, other] = [await overTls(), await overTls()];
      const exporterOf = (raw: RawPeer) => exportBinding(raw.socket as TLSSocket);
      await rejection(bound.attach(other, agreed, exporterOf(one)), 'session_invalid');
      await bound.attach(one, agreed, exporterOf(one));
      expect((await one.ping()).response_data).to.equal('pong');
    });

    it('comes after the handshake, once, and ends the plain part', async () => {
      const raw = await peer.channel(session);
      const again = peer.startAttach(session).request;
      await rejection(raw.call('attach', new AttachRequest({ ...again })), 'bad_request');
      await rejection(
        raw.call('getSession', new SessionTKT({ cloud_id: 'peer', signature: 'a..b', pki_data: 'a' })),
        'bad_request',
      );
      raw.send(pingBytes());
      await raw.closed;
      expect(await refusals('wire_malformed')).to.equal(1);
    });
  });

  describe('sealed frames', () => {
    let raw: RawPeer;
    beforeEach(async () => {
      raw = await peer.channel(session);
    });

    const isCutOff = async () => {
      const before = raw.receivedBytes;
      await raw.closed;
      expect(raw.receivedBytes).to.equal(before);
      expect(await refusals('wire_malformed')).to.equal(1);
      await until('the channel is gone', async () => (await channels()) === 0);
    };

    it('replayed', async () => {
      const frame = raw.sendSealed(pingBytes(7));
      await raw.next();
      raw.send(frame);
      await isCutOff();
    });

    it('replayed on another channel of the session', async () => {
      const frame = raw.sendSealed(pingBytes(7));
      await raw.next();
      raw.close();
      await until('the channel is gone', async () => (await channels()) === 0);
      raw = await peer.channel(session);
      raw.send(frame);
      await isCutOff();
    });

    it('out of order', async () => {
      const first = raw.sendSealed(pingBytes(7), { hold: true });
      const second = raw.sendSealed(pingBytes(8), { hold: true });
      raw.send(Buffer.concat([second, first]));
      await isCutOff();
    });

    it('altered by one bit', async () => {
      const frame = raw.sendSealed(pingBytes(7), { hold: true });
      frame[20] = frame[20]! ^ 1;
      raw.send(frame);
      await isCutOff();
    });

    it('too short for a tag', async () => {
      raw.send(Buffer.concat([lengthOf(9), Buffer.from([0xa1]), Buffer.alloc(8)]));
      await isCutOff();
    });

    it('of a type that nobody knows', async () => {
      raw.send(Buffer.concat([lengthOf(40), Buffer.from([0xa2]), Buffer.alloc(39)]));
      await isCutOff();
    });

    it('with nothing that is a message', async () => {
      raw.sendSealed(Buffer.from('000000ff8221', 'hex'));
      await isCutOff();
    });

    it('with an argument that lacks a member', async () => {
      const whole = callBytes('ping', new PingRequest({ cloud_id: 'a', request_data: 'b' }));
      // Field 2 of the struct is taken out: its header, length and one byte.
      const cut = Buffer.concat([whole.subarray(0, whole.length - 5), whole.subarray(whole.length - 2)]);
      cut.writeUInt32BE(cut.length - 4);
      raw.sendSealed(cut);
      await isCutOff();
    });
  });

  it('what does not fit the one table is refused, call by call', async () => {
    const consumer = await PartnerPeer.join(cloud, 'north', { role: 'provider' });
    const raw = await consumer.channel();
    await rejection(raw.call('authenticate', new AuthenticateRequest({})), 'forbidden');
    expect((await raw.call('getTrustBundle', undefined)).cloud_id).to.equal('east');
    const pending = await PartnerPeer.join(cloud, 'south', { state: 'pending', approval: 'us' });
    const waiting = await pending.channel();
    await rejection(waiting.call('getTrustBundle', undefined), 'partner_not_active');
    expect((await waiting.call('getPairing', undefined)).state).to.be.a('number');
  });

  it('before attach nothing but the bootstrap calls is answered', async () => {
    const raw = await peer.connect();
    await rejection(raw.call('getTrustBundle', undefined), 'unauthenticated');
    await rejection(raw.call('authenticate', new AuthenticateRequest({})), 'unauthenticated');
    raw.close();
  });

  it('ends with its session, and with the trust', async () => {
    const raw = await peer.channel(session);
    clock.advance(session.validTill - clock.now() - 5000);
    await delay(600);
    expect(raw.isClosed).to.equal(false);
    clock.advance(5001);
    await raw.closed;
    expect(await refusals('session_end')).to.equal(1);
  });

  it('closed by hand in another process, it ends within a second', async () => {
    const raw = await peer.channel(session);
    const second = await cloud.openSecond();
    await second.store.sessions.deleteForPartner(peer.partner.uid);
    const startedAt = performance.now();
    await raw.closed;
    expect(performance.now() - startedAt).to.be.lessThan(1000);
  });

  it('with no database for 5 s every channel ends, and no new one begins', async () => {
    const raw = await peer.channel(session);
    const plain = await peer.connect();
    await cloud.installation.store.close();
    clock.elapse(4000);
    expect((await raw.ping()).response_data).to.equal('pong');
    clock.elapse(1500);
    await raw.closed;
    expect((await plain.ping()).response_data).to.equal('pong');
    await rejection(peer.attach(plain, session), 'overloaded');
    expect(await cloud.metric('alliance_database_up')).to.equal(0);
    const ready = await fetch(`http://127.0.0.1:${cloud.broker.addresses.http!.port}/readyz`);
    expect(ready.status).to.equal(503);
    expect(await ready.json()).to.nested.include({ 'checks.trust': 'lost' });
  });

  it('what nobody foresaw reaches the peer without its text', async () => {
    const database = new Database(join(cloud.home, 'alliance.db'));
    database.exec('DROP TABLE replays');
    database.close();
    const { ticket } = await peer.request();
    const raw = await peer.connect();
    raw.send(
      callBytes(
        'getSession',
        new SessionTKT({ cloud_id: 'peer', signature: ticket.signature, pki_data: ticket.pkiData }),
      ),
    );
    const text = (await raw.next())!.toString('latin1');
    expect(text).to.contain('Internal error.');
    expect(text).not.to.match(/replays|table|sql|\.ts/i);
  });

  it('has the time-outs that the protocol page promises', () => {
    const { confirmTimeoutMs, plainIdleMs, plainTotalMs, plainPingTotalMs } = connectionLimits;
    expect([confirmTimeoutMs, plainIdleMs, plainTotalMs, plainPingTotalMs]).to.deep.equal([
      5000, 10_000, 30_000, 600_000,
    ]);
  });
});
