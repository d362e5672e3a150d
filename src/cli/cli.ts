/** What every command works with: the streams, the environment, the options that all commands have. */
import type { Command } from 'commander';
import { type Installation, type OpenOptions, openInstallation } from '../broker/installation.ts';
import { createLogger, type Logger } from '../core/log.ts';
import type { Partner } from '../model/partner.ts';
import { defaultHome } from './home.ts';
import { jsonText, printable, shellWord } from './text.ts';

export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined };
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean | undefined };

export interface World {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** From now on the process goes on when its stdout takes no more. */
  readonly outliveReader?: () => void;
  /** Whether nobody reads stdout any more. */
  readonly isReaderGone?: () => boolean;
}

/** Exit codes, everywhere the same. The last two are those that shells give to what a signal ends: SIGINT and SIGPIPE. */
export const exits = { done: 0, failed: 1, usage: 2, partly: 3, interrupted: 130, unread: 141 } as const;

interface GlobalOptions {
  readonly home?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export class Cli {
  readonly world: World;
  exitCode: number = exits.done;
  #options: GlobalOptions = {};

  constructor(world: World) {
    this.world = world;
    // Needed before commander has read anything, since its own complaints come in this form too.
    const end = world.argv.indexOf('--');
    this.#options = { json: (end < 0 ? world.argv : world.argv.slice(0, end)).includes('--json') };
  }

  take(command: Command): void {
    this.#options = command.optsWithGlobals<GlobalOptions>();
  }

  get env(): World['env'] {
    const { env } = this.world;
    return this.verbose ? { ...env, ALLIANCE_LOG__LEVEL: 'debug' } : env;
  }

  get home(): string {
    return this.#options.home ?? defaultHome(this.world.env);
  }

  /** Whether somebody said where it is. */
  get namesHome(): boolean {
    return this.#options.home !== undefined || Boolean(this.world.env.ALLIANCE_HOME);
  }

  /** `alliance`, and the option that leads another command to the same home where this one was led by it. */
  get program(): string {
    const { home } = this.#options;
    return home === undefined ? 'alliance' : `alliance --home ${shellWord(home)}`;
  }

  get json(): boolean {
    return this.#options.json ?? false;
  }

  get verbose(): boolean {
    return this.#options.verbose ?? false;
  }

  /** A log for commands, that are quiet unless asked. */
  get log(): Logger {
    return createLogger({ level: this.verbose ? 'debug' : 'silent' });
  }

  /** The result on stdout: `value` with `--json`, else the text. */
  print(value: object, text: string | readonly string[]): void {
    this.line(this.json ? jsonText(value, 2) : typeof text === 'string' ? text : text.join('\n'));
  }

  /** One of several results: with `--json` one line each. */
  event(value: object, text: string): void {
    this.line(this.json ? jsonText(value) : text);
  }

  line(text: string): void {
    this.world.stdout.write(`${text}\n`);
  }

  /** What a person wants to know and a script does not: on stderr, in human form only. */
  note(text: string): void {
    if (!this.json) this.world.stderr.write(`${text}\n`);
  }

  /** Like note, but for terminals only. */
  hint(text: string): void {
    if (this.world.stderr.isTTY) this.note(text);
  }

  /** Opens the home directory for as long as `work` takes. */
  async open<T>(
    work: (installation: Installation) => Promise<T>,
    options: Pick<OpenOptions, 'anyIdentity'> = {},
  ): Promise<T> {
    const installation = await openInstallation({ home: this.home, env: this.env, log: this.log, ...options });
    try {
      return await work(installation);
    } finally {
      await installation.close();
    }
  }

  /** The same, for commands about one partner. */
  withPartner<T>(name: string, work: (partner: Partner, installation: Installation) => Promise<T>): Promise<T> {
    return this.open(async (installation) => work(await installation.store.partners.resolve(name), installation));
  }
}

/** A name as it may be shown. */
export const shown = (partner: Pick<Partner, 'name' | 'cloudId'>): string =>
  printable(partner.name === partner.cloudId ? partner.cloudId : `${partner.name} (${partner.cloudId})`);
