/**
 * What ends or exhausts a server of the npm thrift package, against ours over real sockets: the process lives, stays small, goes on
 * serving others, closes the offender and counts it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { type BrokerProcess, startBrokerProcess } from '../support/brokerProcess.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, lengthOf, pingBytes, RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

const mib = 1024 * 1024;
const growthBytes = 64 * mib;

describe('server against hostile peers', function () {
  this.timeout(30_000);
  let cloud: Cloud;
  let broker: BrokerProcess;
  let peer: PartnerPeer;
  let bystander: RawPeer;

  before(async () => {
    cloud = await startCloud({
      cloudId: 'east',
      env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0', ALLIANCE_PARTNERS__PEER__CALLS_PER_S: '0' },
    });
    peer = await PartnerPeer.join(cloud);
    await cloud.stopBroker();
    broker = await startBrokerProcess(cloud, { limits: { plainIdleMs: 1000 } });
    bystander = await peer.channel();
  });

  after(async () => {
    bystander?.close();
    await broker?.kill();
    await stopClouds();
  });

  /** Runs an attack while a partner's channel is served all the time; measures what the broker has grown by. */
  async function attack(reason: string | null, act: (checkSize: () => Promise<void>) => Promise<void>): Promise<void> {
    const before = await broker.rss();
    const refusals = reason === null ? 0 : await broker.metric('alliance_refusals_total', { reason });
    const checkSize = async () => {
      expect((await broker.rss()) - before).to.be.lessThan(growthBytes);
    };
    let done = false;
    let pings = 0;
    const serving = (async () => {
      while (!done) {
        await bystander.ping();
        pings++;
        await delay(5);
      }
    })();
    try {
      await act(checkSize);
    } finally {
      done = true;
    }
    await serving;
    expect(pings).to.be.greaterThan(0);
    expect(broker.alive).to.equal(true);
    if (reason !== null)
      await until(
        `${reason} is counted`,
        async () => (await broker.metric('alliance_refusals_total', { reason })) > refusals,
      );
    await checkSize();
    const late = await peer.connect();
    expect((await late.ping()).response_data).to.equal('pong');
    late.close();
  }

  /** Sends bytes to the plain port until the broker hangs up. */
  async function sendUntilClosed(bytes: Buffer | string, open: () => Promise<RawPeer> = () => peer.connect()) {
    const raw = await open();
    raw.send(bytes);
    await raw.closed;
    expect(raw.receivedBytes).to.equal(0);
  }

  it('a frame header of 2 GiB', () => attack('wire_malformed', () => sendUntilClosed(lengthOf(0x8000_0000))));
  it('a frame header just short of it', () => attack('frame_too_large', () => sendUntilClosed(lengthOf(0x7fff_ffff))));
  it('a negative length', () => attack('wire_malformed', () => sendUntilClosed(lengthOf(-4))));
  it('an empty frame', () => attack('wire_malformed', () => sendUntilClosed(lengthOf(0))));
  it('HTTP', () => attack('frame_too_large', () => sendUntilClosed('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')));
  it('TLS to the TCP port', () =>
    attack('frame_too_large', () => sendUntilClosed(Buffer.from('16030100c8010000c40303', 'hex'))));
  it('plain bytes to the TLS port', () =>
    attack('tls', async () => {
      const raw = await RawPeer.tcp(cloud.ports.tls);
      raw.send(pingBytes());
      await raw.closed;
    }));

  it('garbage in frames of every kind', () =>
    attack('wire_malformed', async () => {
      for (let n = 0; n < 50; n++) {
        const body = Buffer.from(Array.from({ length: 1 + n * 7 }, (_, at) => (at * 31 + n * 17) & 0xff));
        // Every other one looks like a compact call at first.
        if (n % 2 === 0) Buffer.from('8221010470696e67', 'hex').copy(body);
        const raw = await peer.connect();
        raw.send(Buffer.concat([lengthOf(body.length), body]));
        await raw.closed;
      }
    }));

  it('resets, in the middle of a frame and of a handshake', () =>
    attack(null, async () => {
      for (let n = 0; n < 100; n++) {
        const raw = await (n % 4 === 0 ? RawPeer.tls(cloud.ports.tls) : RawPeer.tcp(cloud.ports.tcp));
        if (n % 3 > 0) raw.send(pingBytes().subarray(0, n % 3 === 1 ? 6 : undefined));
        raw.reset();
      }
      for (let n = 0; n < 50; n++) {
        const raw = await RawPeer.tcp(cloud.ports.tls);
        raw.send(Buffer.from('1603010200010001fc0303', 'hex'));
        raw.reset();
      }
    }));

  it('does not take in what follows a refused frame', () =>
    attack('frame_too_large', async () => {
      const raw = await peer.connect();
      raw.send(lengthOf(20_000));
      const megabyte = Buffer.alloc(mib);
      for (let n = 0; n < 100 && !raw.isClosed; n++) {
        raw.send(megabyte);
        await delay(1);
      }
      await raw.closed;
      expect(raw.socket.bytesWritten).to.be.lessThan(64 * mib);
    }));

  /** Sends more than any kernel buffers, and waits until the broker takes no more of it. */
  async function sendUntilStuck(raw: RawPeer, send: (n: number) => void): Promise<void> {
    raw.socket.pause();
    for (let n = 0; n < 100; n++) {
      send(n);
      await delay(2);
    }
    let left = -1;
    while (left !== raw.socket.writableLength) {
      left = raw.socket.writableLength;
      await delay(300);
    }
    expect(left).to.be.greaterThan(0);
  }

  it('a stranger that never reads', () =>
    attack(null, async (checkSize) => {
      const raw = await peer.connect();
      const pings = Buffer.concat(Array.from({ length: 20_000 }, (_, n) => pingBytes(n + 1)));
      await sendUntilStuck(raw, () => raw.send(pings));
      await checkSize();
      raw.close();
    }));

  it('a partner that never reads, and asks for much', () =>
    attack(null, async (checkSize) => {
      const raw = await peer.channel();
      const calls = Buffer.concat(
        Array.from({ length: 10_000 }, (_, n) => callBytes('getTrustBundle', undefined, n + 1)),
      );
      await sendUntilStuck(raw, () => raw.sendSealed(calls));
      await checkSize();
      raw.close();
    }));

  it('calls that nobody knows', async () => {
    await attack('unknown_method', async () => {
      const raw = await peer.connect();
      const name = 'dropEverything';
      const header = Buffer.concat([Buffer.from([0x82, 0x21, 0x01, name.length]), Buffer.from(name), Buffer.from([0])]);
      raw.send(Buffer.concat([lengthOf(header.length), header]));
      const answer = await raw.next();
      const text = answer!.toString('latin1');
      expect(text.split(name)).to.have.length(2);
      expect(text).to.contain('The method is not known here.');
      for (let n = 0; n < 4; n++) raw.send(Buffer.concat([lengthOf(header.length), header]));
      await raw.closed;
    });
  });

  it('replies, exceptions and oneway calls are not executed', () =>
    attack('wire_malformed', async () => {
      for (const type of [2, 3, 4]) {
        const bytes = pingBytes();
        bytes[5] = (type << 5) | 1;
        await sendUntilClosed(bytes);
      }
    }));

  it('a truncated message, and silence after it', () =>
    attack('plain_idle', async () => {
      await sendUntilClosed(pingBytes().subarray(0, 9));
      await sendUntilClosed(Buffer.alloc(0));
    }));

  it('a frame of one byte every so often', () =>
    attack('plain_idle', async () => {
      const raw = await peer.connect();
      const bytes = pingBytes();
      for (let n = 0; n < bytes.length && !raw.isClosed; n++) {
        raw.send(bytes.subarray(n, n + 1));
        await delay(150);
      }
      await raw.closed;
      expect(raw.receivedBytes).to.equal(0);
    }));
});
