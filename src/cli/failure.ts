/** Errors on stderr: for people `error: message. remedy`, with `--json` one object. */
import { CommanderError } from 'commander';
import { errnoOf } from '../core/errno.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { type Cli, exits } from './cli.ts';
import { jsonText, printable } from './text.ts';

/** Errors about what was typed. */
const aboutUsage: ReadonlySet<string> = new Set(['usage', 'bad_request', 'name_reserved']);

export const usageError = (details: string, field?: string): AllianceError =>
  new AllianceError('usage', { details, ...(field !== undefined && { field }) });

/** What is thrown to end the process after Ctrl-C, when nothing is left to say. */
export class Interrupted extends Error {}

/** What is thrown to end a command whose result nobody reads to its end. */
export class ReaderGone extends Error {}

/** Reports and returns the exit code. `typed` is what commander wrote to stderr for people, such as the help of a group. */
export function reportFailure(cli: Cli, thrown: unknown, typed: string): number {
  if (thrown instanceof Interrupted) return exits.interrupted;
  if (thrown instanceof ReaderGone) return exits.unread;
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return exits.done;
    const isHelp = thrown.code === 'commander.help';
    if (isHelp && !cli.json) {
      cli.world.stderr.write(typed);
      return exits.usage;
    }
    const details = isHelp ? 'A command is missing.' : asSentence(thrown.message);
    writeError(cli, usageError(details));
    return exits.usage;
  }
  const error = toAllianceError(thrown);
  writeError(cli, error);
  if (cli.verbose && !cli.json) cli.world.stderr.write(`${stackOf(error)}\n`);
  return !error.remote && aboutUsage.has(error.errorName) ? exits.usage : exits.failed;
}

/** Commander's complaints, in the form of ours: `error: missing required argument 'partner'`, with a suggestion on a second line. */
function asSentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?)]$/.test(text) ? '' : '.'}`;
}

export interface ErrorView {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  readonly remedy: string;
  readonly field?: string;
  readonly request_id?: string;
}

export function viewError(error: AllianceError): ErrorView {
  const local = error.errorName === 'internal' && !error.remote;
  return {
    code: error.remoteCode ?? error.code,
    name: error.errorName,
    message: messageOf(error),
    remedy: local ? 'Run it again with --verbose, and report it if it is no fault of this machine.' : error.remedy,
    ...(error.field !== undefined && { field: error.field }),
    ...(error.requestId !== undefined && { request_id: error.requestId }),
  };
}

function messageOf(error: AllianceError): string {
  const { cause } = error;
  // What nobody foresaw is mostly a file or a directory of this machine, and its operator may read what the system says.
  if (error.errorName === 'internal' && !error.remote && cause instanceof Error)
    return `${error.message} ${errnoOf(cause)}: ${cause.message}`;
  return error.remote ? `The partner answered: ${error.message}` : error.message;
}

export const describeFailure = (thrown: unknown): string => printable(messageOf(toAllianceError(thrown)));

function writeError(cli: Cli, error: AllianceError): void {
  const view = viewError(error);
  const { stderr } = cli.world;
  if (cli.json) {
    stderr.write(`${jsonText(view)}\n`);
    return;
  }
  // Several problems of a configuration come as lines of their own, which stay lines.
  const message = view.message.split('\n').map(printable).join('\n');
  stderr.write(`error: ${message}${/[.!?]$/.test(message) ? '' : '.'} ${view.remedy}\n`);
}

function stackOf(error: AllianceError): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : '';
  return `${error.stack ?? ''}${cause}`.split('\n').map(printable).join('\n');
}
