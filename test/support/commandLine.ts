/** The command line within this process: much faster than a process of its own, and with a terminal where one is wanted. */
import { PassThrough } from 'node:stream';

export interface CommandOptions {
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input, ended after it. */
  readonly input?: string;
  /** Lines that a person types at a terminal, each when something is asked. */
  readonly typed?: readonly string[];
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class Terminal extends PassThrough {
  readonly isTTY = true;
}

const collect = (stream: PassThrough): (() => string) => {
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
};

export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { home, env = {}, input, typed } = options;
  const make = () => (typed ? new Terminal() : new PassThrough());
  const [stdin, stdout, stderr] = [make(), make(), make()];
  const [readOut, readErr] = [collect(stdout), collect(stderr)];
  const lines = [...(typed ?? [])];
  // A question ends with a space and no line end.
  stderr.on('data', (chunk: string) => {
    const line = /[:\]] $/.test(chunk) ? lines.shift() : undefined;
    if (line !== undefined) setImmediate(() => stdin.write(line));
  });
  if (!typed) stdin.end(input ?? '');
  // Imported like this because commands are: where tsx makes CommonJS of a test, each module would be there twice.
  const { runCli } = await import('../../src/cli/program.ts');
  const code = await runCli({
    argv: [...(home === undefined ? [] : ['--home', home]), ...argv],
    env,
    stdin,
    stdout,
    stderr,
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { code, stdout: readOut(), stderr: readErr() };
}
