/** The command line as one tree of commands, and what holds for all of them: help, exit codes, errors. */
import { Command } from 'commander';
import { packageVersion } from '../core/version.ts';
import { Cli, type World } from './cli.ts';
import { reportFailure } from './failure.ts';

const overview = `
Examples:
  $ alliance init --cloud-id east --advertise tls://alliance.east.example:9443
  $ alliance serve
  $ alliance partner invite
  $ alliance status

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part.
Secrets are read from files, prompts and standard input rather than from the command line.`;

type Add = (program: Command, cli: Cli) => void;

const addServices = async (): Promise<Add> => (await import('./services.ts')).addServices;
const addBackup = async (): Promise<Add> => (await import('./backup.ts')).addBackup;

/** Who adds each command, in the order of the help. Only what a command line names is loaded, for a broker keeps what it loads. */
const commands: Readonly<Record<string, () => Promise<Add>>> = {
  init: async () => (await import('./init.ts')).addInit,
  serve: async () => (await import('./serve.ts')).addServe,
  status: async () => (await import('./status.ts')).addStatus,
  partner: async () => (await import('./partner.ts')).addPartner,
  ping: async () => (await import('./ping.ts')).addPing,
  session: async () => (await import('./session.ts')).addSession,
  token: async () => (await import('./token.ts')).addToken,
  revocations: async () => (await import('./revocations.ts')).addRevocations,
  mapping: async () => (await import('./mapping.ts')).addMapping,
  services: addServices,
  endpoints: addServices,
  provision: async () => (await import('./provision.ts')).addProvision,
  image: async () => (await import('./image.ts')).addImage,
  execution: async () => (await import('./execution.ts')).addExecution,
  identity: async () => (await import('./identity.ts')).addIdentity,
  audit: async () => (await import('./audit.ts')).addAudit,
  check: async () => (await import('./checkAuthToken.ts')).addCheck,
  config: async () => (await import('./config.ts')).addConfig,
  backup: addBackup,
  restore: addBackup,
  demo: async () => (await import('./demo.ts')).addDemo,
};

/** Help and completion need the whole tree, and so does whoever mistyped a command. */
const completion = async (): Promise<Add> => (await import('./completion.ts')).addCompletion;

/** What has to be loaded for this command line. */
function loadersFor(argv: readonly string[]): (() => Promise<Add>)[] {
  const word = argv.find((argument, i) => !argument.startsWith('-') && argv[i - 1] !== '--home');
  const named = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined;
  return named ? [named] : [...new Set(Object.values(commands)), completion];
}

/** The tree of commands, or as much of it as this command line needs; `written` gets what commander writes for people to stderr. */
export async function buildProgram(cli: Cli, written: (text: string) => void = () => undefined): Promise<Command> {
  const program = new Command('alliance');
  program
    .description('Broker that federates OpenStack clouds: pairing, sealed sessions, token validation across clouds.')
    .option('--home <dir>', 'home directory (default: $ALLIANCE_HOME, else ~/.local/share/alliance)')
    .option('--json', 'results on stdout and errors on stderr as JSON; schemas are in docs/json')
    .option('--verbose', 'log to stderr what the command does')
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', overview)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => cli.world.stdout.write(text),
      writeErr: written,
      // Reported with all other errors.
      outputError: () => undefined,
      getOutHelpWidth: () => 120,
      getErrHelpWidth: () => 120,
    })
    .showSuggestionAfterError()
    .exitOverride()
    .helpCommand('help [command]', 'show help')
    .hook('preAction', (_program, command) => cli.take(command));
  for (const load of loadersFor(cli.world.argv)) (await load())(program, cli);
  return program;
}

/** Runs one command line; resolves to the exit code. */
export async function runCli(world: World): Promise<number> {
  const cli = new Cli(world);
  let typed = '';
  const program = await buildProgram(cli, (text) => {
    typed += text;
  });
  try {
    await program.parseAsync(world.argv, { from: 'user' });
    return cli.exitCode;
  } catch (thrown) {
    return reportFailure(cli, thrown, typed);
  }
}
