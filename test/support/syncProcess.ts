/** Syncs in processes of their own, since only those can be killed. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface SyncJob {
  readonly authUrl: string;
  readonly password: string;
  readonly databaseUrl: string;
  readonly eastKey: string;
  readonly westKey: string;
  readonly imagesParallel: number;
  /** From 1 on; each call to the database or to a Glance has one before and one after. */
  readonly killAtPoint?: number;
  /** Of all content that is sent. */
  readonly killAtByte?: number;
}

export interface SyncOutcome {
  readonly state: string;
  readonly points: number;
  readonly bytes: number;
}

const fromSource = import.meta.url.endsWith('.ts');
const script = fileURLToPath(new URL(fromSource ? './syncChild.ts' : './syncChild.js', import.meta.url));

/** What it came to; null where it was killed. */
export function runSyncProcess(job: SyncJob): Promise<SyncOutcome | null> {
  const child = fork(script, [JSON.stringify(job)], { execArgv: fromSource ? ['--import=tsx'] : [] });
  let outcome: SyncOutcome | null = null;
  child.on('message', (message) => {
    outcome = message as SyncOutcome;
  });
  return new Promise((resolve, reject) => {
    child.on('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve(null);
      else if (code === 0 && outcome) resolve(outcome);
      else reject(new Error(`The process ended with ${code ?? signal}.`));
    });
  });
}
