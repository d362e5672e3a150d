/** The Python programs of test/interop, which know nothing of ours but docs/protocol.md. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { projectPath } from './project.ts';

/** Debian's own, which its python3-* packages are for. */
const python = '/usr/bin/python3';
const program = (name: string): string[] => ['-B', projectPath('test', 'interop', name)];

/** Runs a program to its end; its standard output. Fails with its standard error when it fails. */
export async function runPython(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python, [...program(name), ...args], { timeout: 30_000 });
  return stdout;
}

export interface ClientAnswer {
  readonly value?: unknown;
  /** Code of the AException that came. */
  readonly code?: number;
  readonly error?: Readonly<Record<string, unknown>>;
  /** What went wrong otherwise. */
  readonly failed?: string;
}

export interface PythonClient {
  /** One command and its result. */
  ask(command: string, ...args: unknown[]): Promise<ClientAnswer>;
  /** The value of a command that must succeed. */
  must<T = unknown>(command: string, ...args: unknown[]): Promise<T>;
  stop(): Promise<void>;
}

/** The reference client, one command at a time. */
export function startPythonClient(): PythonClient {
  const child: ChildProcessWithoutNullStreams = spawn(python, program('client.py'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ask = async (...command: unknown[]): Promise<ClientAnswer> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`The Python client has ended: ${stderr}`);
    return JSON.parse(value) as ClientAnswer;
  };
  return {
    ask,
    must: async <T>(...command: unknown[]): Promise<T> => {
      const answer = await ask(...command);
      if (!('value' in answer)) throw new Error(`${String(command[0])}: ${JSON.stringify(answer)} ${stderr}`);
      return answer.value as T;
    },
    stop: async () => {
      if (child.exitCode !== null) return;
      const ended = once(child, 'close');
      child.stdin.end();
      await ended;
    },
  };
}
