/** The broker of a cloud in a process of its own, to see how large it gets and that it lives. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BrokerOptions } from '../../src/broker/broker.ts';
import type { HostPort } from '../../src/core/endpoint.ts';
import { type Cloud, readMetric } from './cloud.ts';

export interface BrokerProcess {
  /** Resident bytes, after a collection of garbage. */
  rss(): Promise<number>;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  readonly alive: boolean;
  /** What it has logged by now. */
  readonly loggedBytes: number;
  /** SIGKILL, and until it is gone. */
  kill(): Promise<void>;
}

const fromSource = import.meta.url.endsWith('.ts');
const script = fileURLToPath(new URL(fromSource ? './brokerChild.ts' : './brokerChild.js', import.meta.url));

/** The cloud's own broker must be stopped: this one listens where it did. */
export async function startBrokerProcess(
  { home, env, ports }: Pick<Cloud, 'home' | 'env' | 'ports'>,
  options: Pick<BrokerOptions, 'limits' | 'pauses'> = {},
): Promise<BrokerProcess> {
  const host = '127.0.0.1';
  const listen = { tls: { host, port: ports.tls }, tcp: { host, port: ports.tcp }, http: { host, port: 0 } };
  const child = fork(script, [JSON.stringify({ home, env, listen, ...options })], {
    execArgv: ['--expose-gc', ...(fromSource ? ['--import=tsx'] : [])],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let loggedBytes = 0;
  child.stderr!.on('data', (chunk: Buffer) => {
    loggedBytes += chunk.length;
    // A trace, and no line of the log.
    if (chunk[0] !== '{'.charCodeAt(0)) process.stderr.write(chunk);
  });
  const gone = once(child, 'exit');
  const message = async <T>(): Promise<T> => {
    const [answer] = await Promise.race([once(child, 'message'), gone.then(() => [undefined])]);
    if (answer === undefined) throw new Error(`The broker ended: ${child.exitCode ?? child.signalCode}.`);
    return answer as T;
  };
  const { addresses } = await message<{ addresses: { http: HostPort } }>();
  return {
    rss: async () => {
      child.send('rss');
      return (await message<{ rss: number }>()).rss;
    },
    metric: (name, labels) => readMetric(addresses.http, name, labels),
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    get loggedBytes() {
      return loggedBytes;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
