/** The command line as one tree of commands, and what holds for all of them: help, exit codes, errors. */
import { Command } from 'commander';
import { addAudit } from './audit.ts';
import { addBackup } from './backup.ts';
import { addCheck } from './checkAuthToken.ts';
import { Cli, type World } from './cli.ts';
import { addCompletion } from './completion.ts';
import { addConfig } from './config.ts';
import { addDemo } from './demo.ts';
import { reportFailure } from './failure.ts';
import { addIdentity } from './identity.ts';
import { addInit } from './init.ts';
import { addMapping } from './mapping.ts';
import { addPartner } from './partner.ts';
import { addPing } from './ping.ts';
import { addProvision } from './provision.ts';
import { addRevocations } from './revocations.ts';
import { addServe } from './serve.ts';
import { addServices } from './services.ts';
import { addSession } from './session.ts';
import { addStatus } from './status.ts';
import { addToken } from './token.ts';
import { packageVersion } from './version.ts';

const overview = `
Examples:
  $ alliance init --cloud-id east --advertise tls://alliance.east.example:9443
  $ alliance serve
  $ alliance partner invite
  $ alliance status

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part.
Secrets are read from files, prompts and standard input rather than from the command line.`;

/** The whole tree; `written` gets what commander writes for people to stderr. */
export function buildProgram(cli: Cli, written: (text: string) => void = () => undefined): Command {
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
  const groups = [
    [addInit, addServe, addStatus],
    [addPartner, addPing, addSession, addToken, addRevocations, addMapping, addServices, addProvision],
    [addIdentity, addAudit, addCheck, addConfig, addBackup, addCompletion, addDemo],
  ];
  for (const add of groups.flat()) add(program, cli);
  return program;
}

/** Runs one command line; resolves to the exit code. */
export async function runCli(world: World): Promise<number> {
  const cli = new Cli(world);
  let typed = '';
  const program = buildProgram(cli, (text) => {
    typed += text;
  });
  try {
    await program.parseAsync(world.argv, { from: 'user' });
    return cli.exitCode;
  } catch (thrown) {
    return reportFailure(cli, thrown, typed);
  }
}
