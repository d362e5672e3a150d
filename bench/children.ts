/** The processes that the parent starts, and ends. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ContenderName } from './contenders/index.ts';
import type { Load } from './load.ts';

const program = fileURLToPath(import.meta.resolve('./child.js'));
const answerTimeoutMs = 180_000;

/** Asks a process and waits for its one answer, or for its end. */
async function answerOf<T>(child: ChildProcess, what: string): Promise<T> {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(answerTimeoutMs)]);
  const onExit = (code: number | null): void => ended.abort(new Error(`${what} ended with ${code}.`));
  child.once('exit', onExit);
  try {
    const [answer] = (await once(child, 'message', { signal })) as [T & { failure?: string }];
    if (answer.failure !== undefined) throw new Error(`${what}: ${answer.failure}`);
    return answer;
  } catch (error) {
    if (ended.signal.aborted) throw ended.signal.reason;
    throw signal.aborted ? new Error(`${what}: no answer within ${answerTimeoutMs} ms.`) : error;
  } finally {
    child.off('exit', onExit);
  }
}

/** A contender's server. */
export interface Server {
  readonly port: number;
  readonly pid: number;
}

/** A process that measures. */
export interface Client {
  readonly pid: number;
  /** Operations per second. */
  measure(load: Load): Promise<number>;
}

/** Contenders' processes; every one is ended by `stop`. */
export class Children {
  readonly #children: ChildProcess[] = [];

  async serve(name: ContenderName): Promise<Server> {
    const { child, port } = await this.#start('serve', name);
    return { port, pid: child.pid! };
  }

  /** The process lives until `stop`, so that only its first measurement meets cold code. */
  async client(name: ContenderName): Promise<Client> {
    const { child } = await this.#start('load', name);
    const measure = async (load: Load): Promise<number> => {
      child.send(load);
      const { perS } = await answerOf<{ perS: number }>(child, name);
      return perS;
    };
    return { pid: child.pid!, measure };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }),
    );
  }

  async #start(role: 'serve' | 'load', name: ContenderName) {
    const child = fork(program, [role, name], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#children.push(child);
    const { port } = await answerOf<{ port: number }>(child, name);
    return { child, port };
  }
}
