/** What is asked of the person at the terminal, and secrets that do not stand on the command line. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { readAnyFile, whyUnread } from '../core/boundedFile.ts';
import { fileLimits } from '../core/limits.ts';
import type { Cli } from './cli.ts';
import { Interrupted, usageError } from './failure.ts';

/** The content of a file, pipe or device that an option names. */
export async function readWhole(path: string, option: string, mostBytes: number): Promise<string> {
  try {
    return await readAnyFile(path, mostBytes);
  } catch (thrown) {
    throw usageError(`${option}: ${path} cannot be read (${whyUnread(thrown)}).`, option);
  }
}

/** That of a token, a password, a key or a mapping, without the line end that editors add. */
export async function readTextFile(path: string, option: string): Promise<string> {
  const text = await readWhole(path, option, fileLimits.inputBytes);
  return text.replace(/\r?\n$/, '');
}

async function readAll({ world: { stdin } }: Cli, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > fileLimits.inputBytes) throw usageError(`Standard input is too large for ${what}.`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8').trim();
}

/** A file that an argument names, or standard input for `-`. */
export const readInput = async (cli: Cli, path: string, what: string): Promise<string> =>
  path === '-' ? readAll(cli, what) : readTextFile(path, what);

interface SecretSource {
  /** What it is, for prompt and messages: `token`. */
  readonly what: string;
  /** As given on the command line; `-` is standard input. */
  readonly argument?: string | undefined;
  readonly file?: string | undefined;
}

/** From the argument, standard input, a file, or a prompt without echo on a terminal. */
export async function readSecret(cli: Cli, { what, argument, file }: SecretSource): Promise<string> {
  if (argument !== undefined && file !== undefined) throw usageError(`Give the ${what} or --file, not both.`);
  const secret = await (async () => {
    if (file !== undefined) return (await readTextFile(file, '--file')).trim();
    if (argument === '-') return readAll(cli, `a ${what}`);
    if (argument !== undefined) return argument;
    if (cli.world.stdin.isTTY) return (await ask(cli, `${what}: `, { echo: false })).trim();
    throw usageError(`The ${what} is missing: give it as an argument, as - for standard input, or by --file.`, what);
  })();
  if (secret === '') throw usageError(`The ${what} is empty.`, what);
  return secret;
}

/** Asks one line on the terminal. */
export function ask({ world: { stdin, stderr } }: Cli, question: string, { echo }: { echo: boolean }): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // The terminal's own echo is off before anybody is asked to type.
  const lines = createInterface({ input: stdin, output: echo ? stderr : silent, terminal: !echo });
  stderr.write(question);
  return new Promise((resolve, reject) => {
    let answer: string | undefined;
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      if (!echo || answer === undefined) stderr.write('\n');
      if (answer === undefined) reject(new Interrupted('Nothing was entered.'));
      else resolve(answer);
    });
  });
}

/** Whoever cannot be asked has to have said `--yes`. */
export async function confirm(cli: Cli, yes: boolean | undefined, question: string): Promise<void> {
  if (yes) return;
  if (!cli.world.stdin.isTTY) throw usageError('It cannot be taken back: say --yes where there is no terminal to ask.');
  const answer = await ask(cli, `${question} [y/N] `, { echo: true });
  if (!/^y(es)?$/i.test(answer.trim())) throw new Interrupted('Not confirmed.');
}
