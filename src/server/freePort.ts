/** A port that nobody listens on at this moment, for what has to know its address before it listens. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errnoOf } from '../core/errno.ts';
import { freePortLimits } from '../core/limits.ts';

/** What this process was given before: it may not listen there yet. */
const given = new Set<number>();

/**
 * From below the ports that systems take for outgoing connections, or one of those could have it before we listen.
 * Rejects with what the last attempt failed with.
 */
export async function findFreePort(host = '127.0.0.1'): Promise<number> {
  const { first, last, attempts } = freePortLimits;
  for (let attempt = 1; ; attempt++) {
    const port = randomInt(first, last + 1);
    if (given.has(port) && attempt < attempts) continue;
    try {
      await tryPort(host, port);
      given.add(port);
      return port;
    } catch (error) {
      if (errnoOf(error) !== 'EADDRINUSE' || attempt >= attempts) throw error;
    }
  }
}

async function tryPort(host: string, port: number): Promise<void> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}
