/** What is held for a partner is bounded: shares of bytes, and the answers that nobody reads. */
import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { partnerImageLimits } from '../../src/core/limits.ts';
import { ByteShares } from '../../src/server/byteShares.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { readMessage, readOutcome } from '../../src/wire/messages.ts';
import { ImageRange, ImageReference, ImageWrite, toInt64 } from '../../src/wire/types.ts';
import { refusal, rejection } from '../support/errors.ts';
import { addImage, type GlanceCloud, imageEnv, startGlanceCloud } from '../support/imageCloud.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, type RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

describe('server/byteShares', () => {
  it('gives each its share, and takes back once what is given back', () => {
    const shares = new ByteShares(10);
    const back = shares.take('a', 6);
    shares.take('b', 10);
    expect(refusal(() => shares.take('a', 5), 'overloaded').retryAfterMs).to.equal(100);
    const rest = shares.take('a', 4);
    back();
    back();
    refusal(() => shares.take('a', 7), 'overloaded');
    rest();
    shares.take('a', 10);
  });
});

describe('answers that nobody reads', () => {
  const mib = 2 ** 20;
  const most = partnerImageLimits.heldBytes / mib;
  let east: GlanceCloud;
  let id: string;
  let peer: PartnerPeer;

  before(async () => {
    const rules = (project: string) => ({ read: true, write: true, project, quota_gib: 1, quota_images: 9 });
    east = await startGlanceCloud('east', (project) => ({
      ...imageEnv('peer', rules(project)),
      ...imageEnv('north', rules(project)),
    }));
    ({ id } = await addImage(east.own, Buffer.alloc(mib, 7), { visibility: 'public' }));
    peer = await PartnerPeer.join(east.cloud);
  });
  after(() => east.stop());

  const range = (lengthBytes = mib) =>
    new ImageRange({ image: new ImageReference({ id }), offset: toInt64(0), length: lengthBytes });
  const ask = (raw: RawPeer, count: number) =>
    raw.sendSealed(
      Buffer.concat(Array.from({ length: count }, (_, i) => callBytes('readImageData', range(), 100 + i))),
    );
  /** How the next answers turned out: bytes, or the name of an error. */
  const outcomes = async (raw: RawPeer, count: number): Promise<(number | string)[]> => {
    const found: (number | string)[] = [];
    const reader = new CompactReader();
    while (found.length < count) {
      reader.reset((await raw.next())!);
      readMessage(reader);
      try {
        found.push(readOutcome(reader, 'readImageData').data.length);
      } catch (thrown) {
        found.push((thrown as AllianceError).errorName);
      }
    }
    return found;
  };
  const isRefused = async (raw: RawPeer): Promise<boolean> => {
    try {
      await raw.call('readImageData', range());
      return false;
    } catch (thrown) {
      expect(thrown).to.be.instanceOf(AllianceError);
      return (thrown as AllianceError).errorName === 'overloaded';
    }
  };

  it('count until they have left, over all channels of the partner and of no other', async () => {
    const [deaf, raw] = [await peer.channel(), await peer.channel()];
    deaf.socket.pause();
    ask(deaf, 200);
    const more = await peer.channel();
    more.socket.pause();
    ask(more, 200);
    await until('both channels hold what they may', () => isRefused(raw));
    await raw.ping();
    const other = await (await PartnerPeer.join(east.cloud, 'north')).channel();
    expect((await other.call('readImageData', range())).data).to.have.length(mib);
    deaf.socket.resume();
    more.socket.resume();
    const [one, two] = await Promise.all([outcomes(deaf, 200), outcomes(more, 200)]);
    expect(one.filter((each) => each === mib)).to.have.length(most);
    expect(one.filter((each) => each === 'overloaded')).to.have.length(200 - most);
    expect(two.filter((each) => each === mib).length).to.be.lessThan(most);
    await until('everything was given back', async () => !(await isRefused(raw)));
    ask(raw, most);
    expect(await outcomes(raw, most)).to.deep.equal(Array.from({ length: most }, () => mib));
  });

  it('are given back with the connection', async () => {
    const deaf = await peer.channel();
    const { answers } = east.cloud.broker.images;
    const isWhole = (): boolean => {
      try {
        answers.take(peer.partner.uid, partnerImageLimits.heldBytes)();
        return true;
      } catch {
        return false;
      }
    };
    deaf.socket.pause();
    ask(deaf, 200);
    await until('the channel holds something', () => !isWhole());
    deaf.reset();
    await until('everything was given back', isWhole);
  });

  it('a chunk counts as the message that it came in, until it is answered', async () => {
    const raw = await peer.channel();
    const { chunks } = east.cloud.broker.images;
    const back = chunks.take(peer.partner.uid, partnerImageLimits.heldBytes - mib);
    const write = (sizeBytes: number) =>
      raw.call(
        'writeImageData',
        new ImageWrite({
          ...{ image: new ImageReference({ id }), offset: toInt64(0) },
          ...{ data: Buffer.alloc(sizeBytes), size: toInt64(sizeBytes) },
        }),
      );
    await rejection(write(mib), 'overloaded');
    await rejection(write(1000), 'image_refused');
    back();
    await rejection(write(mib), 'image_refused');
    await rejection(write(mib), 'image_refused');
    chunks.take(peer.partner.uid, partnerImageLimits.heldBytes)();
  });
});
