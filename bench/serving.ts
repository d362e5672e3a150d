/** The broker under measurement, as an operator runs it. */
import { execFileSync, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface Serving {
  readonly pid: number;
  /** From the start of the process until it said that it is ready. */
  readonly readyMs: number;
  /** Resident memory now, MiB. */
  rssMib(): number;
  stop(): Promise<void>;
}

const program = fileURLToPath(import.meta.resolve('../src/main.js'));
const readyTimeoutMs = 20_000;

/** Resolves when the broker says `ready`, after the lines on where it listens. */
async function readyLine(stdout: Readable): Promise<void> {
  let text = '';
  for await (const [chunk] of on(stdout.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(readyTimeoutMs) })) {
    text += chunk;
    if (/^ready$/m.test(text)) return;
  }
}

/** Starts the broker of this home; what it logs is added to a file. */
export async function startServing(home: string, logPath: string): Promise<Serving> {
  const log = openSync(logPath, 'a');
  const startedAt = performance.now();
  const child = spawn(process.execPath, [program, 'serve', '--home', home], {
    env: {},
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  const exited = once(child, 'exit');
  const ready = readyLine(child.stdout!);
  await Promise.race([
    ready,
    exited.then(([code]) =>
      Promise.reject(new Error(`The broker ended with ${code} before it was ready:\n${readFileSync(logPath, 'utf8')}`)),
    ),
  ]);
  const readyMs = performance.now() - startedAt;
  return {
    pid: child.pid!,
    readyMs,
    rssMib: () => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)], { encoding: 'utf8' })) / 1024,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
