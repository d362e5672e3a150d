/** Other processes on the database of a test: real ones, since locks and crashes are per process. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface StoreProcess {
  /** The next message that it sends; rejects when it ends first. */
  message(): Promise<string>;
  go(): void;
  /** SIGKILL, and until it is gone. */
  kill(): Promise<void>;
}

const fromSource = import.meta.url.endsWith('.ts');
const script = fileURLToPath(new URL(fromSource ? './storeChild.ts' : './storeChild.js', import.meta.url));

export function startStoreProcess(job: string, url: string, argument = ''): StoreProcess {
  const child: ChildProcess = fork(script, [job, url, argument], { execArgv: fromSource ? ['--import=tsx'] : [] });
  const messages: string[] = [];
  let wake = (): void => {};
  child.on('message', (message) => {
    messages.push(String(message));
    wake();
  });
  child.on('exit', () => wake());

  return {
    message: async () => {
      while (messages.length === 0) {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`the process of job ${job} ended: ${child.exitCode ?? child.signalCode}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return messages.shift()!;
    },
    go: () => child.send('go'),
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
