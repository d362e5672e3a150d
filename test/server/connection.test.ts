/** What a connection makes of calls that come at the wrong time, and of what its partner may use of it. */
import { expect } from 'chai';
import { noBinding } from '../../src/channel/attach.ts';
import { ClientConnection } from '../../src/client/connection.ts';
import { dial } from '../../src/client/dial.ts';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { wireLimits } from '../../src/core/limits.ts';
import { AttachRequest, ServiceFilter, SessionTKT, ValidateTokenRequest } from '../../src/wire/types.ts';
import { type Cloud, type CloudOptions, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, pingBytes, type RawPeer, unknownCallBytes } from '../support/rawPeer.ts';

describe('server connection', () => {
  let cloud: Cloud;
  let peer: PartnerPeer;

  async function start(options: Omit<CloudOptions, 'cloudId'> = {}): Promise<void> {
    cloud = await startCloud({ cloudId: 'east', ...options });
    peer = await PartnerPeer.join(cloud);
  }
  afterEach(stopClouds);

  const refusals = (reason: string) => cloud.metric('alliance_refusals_total', { reason });
  const text = async (raw: RawPeer) => (await raw.next())?.toString('latin1');

  describe('handshake calls', () => {
    it('are not overtaken, though a ping before them is answered meanwhile', async () => {
      await start();
      const { ticket } = await peer.request();
      const wrong = new SessionTKT({ cloud_id: 'nobody', signature: ticket.signature, pki_data: ticket.pkiData });
      const raw = await peer.connect();
      raw.send(Buffer.concat([pingBytes(1), callBytes('getSession', wrong, 2), pingBytes(3)]));
      const answers = [await text(raw), await text(raw), await text(raw)];
      expect(answers.map((answer) => /ping|getSession/.exec(answer!)?.[0])).to.deep.equal([
        'ping',
        'getSession',
        'ping',
      ]);
    });

    it('attach is alone: a ping before it has been answered, and what follows it is on a channel', async () => {
      await start();
      const session = await peer.agree(await peer.connect());
      const attach = () => callBytes('attach', new AttachRequest({ ...peer.startAttach(session).request }), 2);
      const raw = await peer.connect();
      raw.send(Buffer.concat([pingBytes(1), attach(), pingBytes(3), attach()]));
      const answers: string[] = [];
      for (let answer = await text(raw); answer !== undefined; answer = await text(raw)) answers.push(answer);
      expect(answers.map((answer) => (answer.includes('attach') ? 'attach' : 'ping'))).to.deep.equal([
        'ping',
        'attach',
      ]);
      expect(await refusals('wire_malformed')).to.equal(1);
    });

    it('attach counts once: a second one in the same bytes is a plain frame on a channel', async () => {
      await start();
      const session = await peer.agree(await peer.connect());
      const attach = () => callBytes('attach', new AttachRequest({ ...peer.startAttach(session).request }), 2);
      const raw = await peer.connect();
      raw.send(Buffer.concat([attach(), attach()]));
      expect(await text(raw)).to.contain('attach');
      expect(await raw.next()).to.equal(undefined);
      expect(await refusals('wire_malformed')).to.equal(1);
    });

    it('attach that is refused for the rate of its address ends the connection too', async () => {
      await start({
        env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0.1', ALLIANCE_LIMITS__UNAUTHENTICATED_BURST: '1' },
      });
      const session = await peer.agree(await peer.connect());
      const raw = await peer.connect();
      await rejection(raw.call('attach', new AttachRequest({ ...peer.startAttach(session).request })), 'rate_limited');
      expect(await raw.next()).to.equal(undefined);
    });
  });

  describe('a partner', () => {
    const slow = { ALLIANCE_PARTNERS__PEER__CALLS_PER_S: '10', ALLIANCE_PARTNERS__PEER__CALLS_BURST: '5' };

    it('pays for methods that nobody knows', async () => {
      await start({ env: slow });
      const raw = await peer.channel();
      const startedAt = performance.now();
      raw.sendSealed(Buffer.concat(Array.from({ length: 14 }, () => unknownCallBytes('dropEverything'))));
      for (let n = 0; n < 14; n++) expect(await text(raw)).to.contain('not known here');
      // 4 were left of the burst, and the last one is answered before it is paid for.
      expect(performance.now() - startedAt).to.be.within(((14 - 5) / 10) * 1000 - 100, 5000);
    });

    it('pays for calls that it may not make', async () => {
      await start({ env: { ALLIANCE_PARTNERS__NORTH__CALLS_PER_S: '1', ALLIANCE_PARTNERS__NORTH__CALLS_BURST: '5' } });
      const raw = await (await PartnerPeer.join(cloud, 'north', { role: 'provider' })).channel();
      const services = () => raw.call('getServices', new ServiceFilter({}));
      await rejection(services(), 'forbidden');
      await rejection(services(), 'forbidden');
      const ticket = new SessionTKT({ cloud_id: 'x', signature: 'a..b', pki_data: 'a' });
      await rejection(raw.call('getSession', ticket), 'bad_request');
      await rejection(services(), 'forbidden');
      await rejection(services(), 'rate_limited');
      expect((await raw.ping()).response_data).to.equal('pong');
    });

    it('pays for what it is sent as for what it sends', async () => {
      await start({ env: { ALLIANCE_PARTNERS__PEER__BYTES_PER_S: '100000' } });
      const raw = await peer.channel();
      const count = 900;
      const calls = Buffer.concat(
        Array.from({ length: count }, (_, n) => callBytes('getTrustBundle', undefined, n + 1)),
      );
      const received = raw.receivedBytes;
      const startedAt = performance.now();
      raw.sendSealed(calls);
      for (let n = 0; n < count; n++) await raw.next();
      expect(calls.length).to.be.lessThan(25_000);
      const overdrawnBytes = raw.receivedBytes - received - 100_000 - wireLimits.batchBytes / 2;
      expect(overdrawnBytes).to.be.greaterThan(30_000);
      expect(performance.now() - startedAt).to.be.greaterThan((overdrawnBytes / 100_000) * 1000);
    });

    it('may begin with a call that is too large for the first frame', async () => {
      await start();
      const session = await peer.agree(await peer.connect());
      const policy = createDialPolicy({ allow: ['127.0.0.0/8'], ownAddresses: () => [] });
      const endpoint = { scheme: 'tcp', host: '127.0.0.1', port: cloud.ports.tcp } as const;
      const connection = new ClientConnection(await dial({ endpoint, policy, pins: [] }));
      await connection.attach(session.secret, {
        sid: session.sid,
        initiator: { cloudId: peer.identity.cloudId, fingerprint: session.ownFingerprint },
        responder: { cloudId: cloud.cloudId, fingerprint: session.partnerFingerprint },
        binding: noBinding,
      });
      const large = new ValidateTokenRequest({ token: 'x'.repeat(2 * wireLimits.plainFrameBytes) });
      const refused = await rejection(connection.call('validateTokenHard', large), 'token_form_refused');
      expect(refused.remote).to.equal(true);
      connection.close();
    });
  });
});
