/** Peers that send as much as they can: a broker with the limits that it has by default serves the others all the same. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { connectionLimits, wireLimits } from '../../src/core/limits.ts';
import { type BrokerProcess, startBrokerProcess } from '../support/brokerProcess.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { pingBytes, RawPeer, unknownCallBytes } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

describe('server in a flood', function () {
  this.timeout(30_000);
  let cloud: Cloud;
  let broker: BrokerProcess;
  let peer: PartnerPeer;
  let bystander: RawPeer;

  beforeEach(async () => {
    cloud = await startCloud({ cloudId: 'east' });
    peer = await PartnerPeer.join(cloud);
    const other = await PartnerPeer.join(cloud, 'north');
    await cloud.stopBroker();
    broker = await startBrokerProcess({ ...cloud, env: { ...cloud.env, ALLIANCE_LOG__LEVEL: 'info' } });
    bystander = await other.channel();
  });
  afterEach(async () => {
    bystander?.close();
    await broker?.kill();
    await stopClouds();
  });

  /** How long a partner's ping takes at most, while so much time goes by. */
  async function slowestPingMs(durationMs: number): Promise<number> {
    const giveUpAt = performance.now() + durationMs;
    let slowestMs = 0;
    while (performance.now() < giveUpAt) {
      const startedAt = performance.now();
      await bystander.ping();
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      await delay(5);
    }
    return slowestMs;
  }

  const refusals = (reason: string) => broker.metric('alliance_refusals_total', { reason });

  it('of pings from one address, over many connections that come back when they are cut off', async () => {
    const pings = Buffer.concat(Array.from({ length: 1000 }, (_, n) => pingBytes(n + 1)));
    let flooding = true;
    let cutOff = 0;
    const flood = async () => {
      while (flooding) {
        const raw = await peer.connect();
        const pump = () => {
          while (flooding && !raw.isClosed && raw.socket.write(pings));
        };
        raw.socket.on('drain', pump);
        pump();
        await Promise.race([raw.closed, until('the flood is over', () => !flooding, 20_000)]);
        if (raw.isClosed && flooding) cutOff++;
        raw.close();
      }
    };
    const floods = Array.from({ length: 100 }, flood);
    await until('calls are refused', async () => (await refusals('rate')) > 0);
    const durationMs = 3000;
    expect(await slowestPingMs(durationMs)).to.be.lessThan(1000);
    expect(broker.loggedBytes).to.be.lessThan(20_000);
    expect(cutOff).to.be.greaterThan(0);
    // All of them are refused no more often than their pauses allow, be the flood as large as it may.
    const perS = (floods.length * 1000) / connectionLimits.refusedPauseMinMs;
    expect(await refusals('rate')).to.be.lessThan(perS * (durationMs / 1000 + 2));
    flooding = false;
    await Promise.all(floods);
    const elsewhere = await RawPeer.tcp(cloud.ports.tcp, '127.0.0.2');
    expect((await elsewhere.ping()).response_data).to.equal('pong');
    elsewhere.close();
  });

  it('of methods that nobody knows, from a partner', async () => {
    const call = unknownCallBytes('x');
    const count = Math.floor((wireLimits.sealedFrameBytes - 100) / call.length);
    const raw = await peer.channel();
    raw.sendSealed(Buffer.concat(Array.from({ length: count }, () => call)));
    const startedAt = performance.now();
    expect(await slowestPingMs(1500)).to.be.lessThan(500);
    const tookS = (performance.now() - startedAt) / 1000;
    const answered = await refusals('unknown_method');
    expect(answered).to.be.within(4000, 4000 + 2000 * (tookS + 1));
    expect(count).to.be.greaterThan(10 * answered);
    raw.close();
  });
});
