/** Links over real sockets: both ends, or one end that a bare socket attacks. */
import { wireLimits } from '../../src/core/limits.ts';
import { FrameSealer } from '../../src/crypto/frames.ts';
import { farKeys, type LinkEnd, linkEnd, nearKeys } from './linkEnd.ts';
import { type SocketPair, socketPair } from './socketPair.ts';
import { callFrame } from './wireFrame.ts';

export const pingFrame = (seqid: number, text = 'hello'): Buffer =>
  callFrame('ping', seqid, { cloud_id: 'east', request_data: text });
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Turned by tests that would otherwise wait for half a minute. */
export const turnableLimits = wireLimits as { drainTimeoutMs: number; plainDrainTimeoutMs: number; lingerMs: number };

let pairs: SocketPair[] = [];
export const newPair = async (halfOpen = false): Promise<SocketPair> => {
  const pair = await socketPair(halfOpen);
  pairs.push(pair);
  return pair;
};
export const endPairs = () => {
  for (const pair of pairs) pair.destroy();
  pairs = [];
};

/** Links at both ends; where they are sealed, the far one has dialled, and has had the near one's proof. */
export async function links(sealed: boolean): Promise<{ near: LinkEnd; far: LinkEnd; pair: SocketPair }> {
  const pair = await newPair();
  const [near, far] = [linkEnd(pair.near), linkEnd(pair.far)];
  if (sealed) {
    near.link.secure(nearKeys, 'awaited');
    far.link.secure(farKeys, 'given');
  }
  return { near, far, pair };
}

/** A link at the near end, secured; the far end is a bare socket, with a sealer of the peer's. */
export async function attacked(): Promise<{ near: LinkEnd; pair: SocketPair; sealer: FrameSealer }> {
  const pair = await newPair();
  const near = linkEnd(pair.near);
  near.link.secure(nearKeys, 'given');
  return { near, pair, sealer: new FrameSealer(farKeys.sendKey, farKeys.sendIv) };
}

/** A plain link at the near end; the far end is a bare socket. */
export async function strange(): Promise<{ near: LinkEnd; pair: SocketPair; sealer?: FrameSealer }> {
  const pair = await newPair();
  return { near: linkEnd(pair.near), pair };
}

/** Everything that comes off a socket until `sizeBytes` are there. */
export function gather(socket: SocketPair['far'], sizeBytes: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let all = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      all = Buffer.concat([all, chunk]);
      if (all.length >= sizeBytes) resolve(all);
    });
  });
}
