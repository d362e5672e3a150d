/** `broker.json` in the home directory, while a broker runs: its process and where it listens. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Broker } from '../broker/broker.ts';
import { readRegularFile } from '../core/boundedFile.ts';
import type { HostPort } from '../core/endpoint.ts';
import { fileLimits } from '../core/limits.ts';
import { writeWhole } from '../core/wholeFile.ts';
import { isAlive } from './process.ts';

interface BrokerFile {
  readonly pid: number;
  readonly started_at: number;
  readonly addresses: Readonly<Record<'tls' | 'tcp' | 'http' | 'facade', HostPort | null>>;
}

const pathIn = (home: string): string => join(home, 'broker.json');

/** Returns how to take it back, which leaves alone what another broker wrote since. */
export function announceBroker({ installation, addresses }: Broker): () => void {
  const { home, clock } = installation;
  const content: BrokerFile = { pid: process.pid, started_at: clock.now(), addresses };
  writeWhole(pathIn(home), `${JSON.stringify(content)}\n`, 0o600);
  return () => {
    if (read(home)?.pid === process.pid) rmSync(pathIn(home), { force: true });
  };
}

/** The broker that was started on this home directory, and whether it runs on this host. */
export function findBroker(home: string): { readonly found: BrokerFile | undefined; readonly alive: boolean } {
  const found = read(home);
  return { found, alive: found !== undefined && isAlive(found.pid) };
}

function read(home: string): BrokerFile | undefined {
  try {
    return JSON.parse(readRegularFile(pathIn(home), fileLimits.inputBytes).text) as BrokerFile;
  } catch {
    return undefined;
  }
}
