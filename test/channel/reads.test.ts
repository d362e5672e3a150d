import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { Reads } from '../../src/channel/reads.ts';
import { until } from '../support/until.ts';

describe('channel/reads', () => {
  let peer: Socket;
  let ours: Socket;
  let reads: Reads;

  beforeEach(async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    reads = new Reads();
    const { port } = server.address() as AddressInfo;
    ours = connect({ host: '127.0.0.1', port, onread: reads.onread });
    [peer] = (await once(server, 'connection')) as [Socket];
    server.close();
  });

  afterEach(() => {
    for (const socket of [ours, peer]) socket.destroy();
  });

  it('hands over all bytes in order, and the end after them', async () => {
    const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
    const pieces: Buffer[] = [];
    reads.begin((chunk) => void pieces.push(Buffer.from(chunk)));
    peer.end(sent);
    await once(ours, 'end');
    expect(Buffer.concat(pieces).equals(sent)).to.equal(true);
  });

  it('keeps what comes before anybody wants it, and reads no more until then', async () => {
    peer.write('early');
    await until('it is here', () => ours.bytesRead === 5);
    peer.end(' and late');
    let text = '';
    reads.begin((chunk) => {
      text += chunk.toString();
    });
    expect(text).to.equal('early');
    ours.resume();
    await once(ours, 'end');
    expect(text).to.equal('early and late');
  });

  it('stops while the socket is paused', async () => {
    let seenBytes = 0;
    reads.begin((chunk) => {
      seenBytes += chunk.length;
      if (seenBytes === chunk.length) ours.pause();
    });
    const sent = Buffer.alloc(8_000_000);
    const written = new Promise<void>((resolve) => {
      peer.end(sent, () => resolve());
    });
    await until('it pauses', () => ours.isPaused());
    const atPause = seenBytes;
    // A turn of the event loop in which more could come.
    await new Promise((resolve) => setImmediate(resolve));
    expect(seenBytes).to.equal(atPause);
    ours.resume();
    await Promise.all([once(ours, 'end'), written]);
    expect(seenBytes).to.equal(sent.length);
  });
});
