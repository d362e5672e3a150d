/** Two ends of one TCP connection on loopback. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface SocketPair {
  readonly near: Socket;
  readonly far: Socket;
  /** Ends both, whatever became of them. */
  destroy(): void;
}

/** With `halfOpen` the far end does not answer an end with its own. */
export async function socketPair(halfOpen = false): Promise<SocketPair> {
  const server = createServer({ noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    noDelay: true,
    allowHalfOpen: halfOpen,
  });
  const [near] = await accepted;
  server.close();
  // A reset of one end is the point of some tests, and no failure of the process.
  for (const socket of [near, far]) socket.on('error', () => undefined);
  return {
    near,
    far,
    destroy: () => {
      near.destroy();
      far.destroy();
    },
  };
}
