/** Messages that nobody answers, over real channels. */
import { expect } from 'chai';
import { CompactReader, CompactWriter } from '../../src/wire/compact.ts';
import { MessageType, readMessage } from '../../src/wire/messages.ts';
import { PingRequest, RevocationNotice, TokenAnnouncement, toInt64 } from '../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, type RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

const notice = () => new RevocationNotice({ head: toInt64(1) });
const announcement = (hint = Buffer.alloc(32)) => new TokenAnnouncement({ hint, expires_at: toInt64(4e12) });
const ping = (seqid: number) => callBytes('ping', new PingRequest({ cloud_id: 'peer', request_data: '' }), seqid);

/** A message of any kind and name with no fields in its argument struct. */
function bareMessage(name: string, type: number, seqid: number): Buffer {
  const writer = new CompactWriter();
  writer.beginFrame();
  writer.writeMessageBegin(name, type, seqid);
  writer.writeStructBegin();
  writer.writeFieldStop();
  writer.writeStructEnd();
  writer.endFrame();
  return Buffer.from(writer.take());
}

const seqidOf = (message: Buffer | undefined): number => {
  const reader = new CompactReader();
  reader.reset(message!);
  return readMessage(reader).seqid;
};

/** The kind of a message lies in the upper three bits of its second byte behind the length. */
function asKind(frame: Buffer, type: number): Buffer {
  const changed = Buffer.from(frame);
  changed[5] = (changed[5]! & 0x1f) | (type << 5);
  return changed;
}

describe('oneway messages', () => {
  let cloud: Cloud;
  let peer: PartnerPeer;
  let raw: RawPeer;
  const answered = (method: string, outcome: string) => cloud.metric('alliance_calls_total', { method, outcome });

  before(async () => {
    cloud = await startCloud({ cloudId: 'east' });
    peer = await PartnerPeer.join(cloud);
  });
  beforeEach(async () => {
    raw = await peer.channel();
  });
  afterEach(() => raw.close());
  after(stopClouds);

  it('are run and not answered, whether they succeed, fail or are not known', async () => {
    for (const [bytes, method, outcome] of [
      [callBytes('popToken', notice(), 1), 'popToken', 'ok'],
      [callBytes('pushToken', announcement(), 2), 'pushToken', 'bad_request'],
      [callBytes('pushToken', announcement(Buffer.alloc(3)), 3), 'pushToken', 'bad_request'],
    ] as const) {
      const before = await answered(method, outcome);
      raw.sendSealed(bytes);
      await until(`${method} ${outcome}`, async () => (await answered(method, outcome)) > before);
    }
    raw.sendSealed(bareMessage('dropEverything', MessageType.oneway, 4));
    raw.sendSealed(ping(77));
    expect(seqidOf(await raw.next())).to.equal(77);
    await raw.ping();
  });

  it('one that is sent as a call, and a call that is sent as one, end the connection', async () => {
    raw.sendSealed(asKind(callBytes('popToken', notice(), 1), MessageType.call));
    await raw.closed;
    const another = await peer.channel();
    another.sendSealed(asKind(ping(1), MessageType.oneway));
    await another.closed;
  });

  it('before attach are refused without a word', async () => {
    const stranger = await peer.connect();
    stranger.send(callBytes('popToken', notice(), 1));
    stranger.send(ping(9));
    expect(seqidOf(await stranger.next())).to.equal(9);
    stranger.close();
  });

  it('of a flood harm nobody', async () => {
    for (let n = 0; n < 5000; n++) raw.sendSealed(callBytes('popToken', notice(), n + 1));
    const other = await peer.channel();
    await other.ping();
    other.close();
  });
});
