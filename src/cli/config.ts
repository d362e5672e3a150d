/** `alliance config check, show` */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { openKeystone } from '../broker/broker.ts';
import { configPath } from '../broker/files.ts';
import { systemClock } from '../core/clock.ts';
import { type Config, loadConfig } from '../core/config.ts';
import { type ConfigProblem, configurationError } from '../core/configProblems.ts';
import { redactConfig } from '../core/configView.ts';
import { AllianceError } from '../core/errors.ts';
import { silentTelemetry } from '../core/telemetry.ts';
import type { Cli } from './cli.ts';
import { examineConfig } from './configExamination.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { printable } from './text.ts';

export function addConfig(program: Command, cli: Cli): void {
  const group = addGroup(program, 'config', 'the configuration in force', 'config check');
  addCommand(group, {
    usage: 'check',
    summary: 'check alliance.yaml, the environment and the files they name; reports all problems at once',
    examples: ['config check', 'config check --json'],
  }).action(() => finish(cli, check(cli)));

  addCommand(group, {
    usage: 'show',
    summary: 'show every key in force, defaults included and secrets redacted',
    examples: ['config show', 'config show --json'],
  }).action(() => {
    const settings = redactConfig(loadConfig(cli));
    cli.print(settings, stringify(settings).trimEnd());
  });
}

async function check(cli: Cli): Promise<undefined> {
  const { config, keystone, warnings, initialised } = withRemedy(() => examine(cli));
  await keystone?.close();
  const path = configPath(config.home);
  const texts = warnings.map(({ path: key, problem }) => `${key.join('.')}: ${problem}`);
  cli.print(
    {
      ok: true,
      file: path,
      cloud_id: config.cloudId,
      keystone: keystone !== undefined,
      initialised,
      warnings: texts,
    },
    [
      `${path}: ok`,
      ...texts.map((text) => `warning: ${printable(text)}`),
      ...(keystone ? [] : ['There is no Keystone in it: the broker pairs and pings, and answers no token calls.']),
      ...(initialised ? [] : ['Keys and database are not there yet: alliance init']),
    ],
  );
  return undefined;
}

/** Says what is missing of Keystone's credentials, too; nothing is asked of Keystone itself. */
function examine({ home, env }: Cli) {
  const config = loadConfig({ home, env });
  const { problems, warnings, initialised } = examineConfig(config);
  const { keystone, problem } = tryKeystone(config, env);
  const all = [...problems, ...(problem ? [problem] : [])];
  if (all.length > 0) throw configurationError(all, () => undefined);
  return { config, keystone, warnings, initialised };
}

function tryKeystone(
  config: Config,
  env: Cli['env'],
): { readonly keystone?: ReturnType<typeof openKeystone>; readonly problem?: ConfigProblem } {
  try {
    return { keystone: openKeystone({ config, env, clock: systemClock, telemetry: silentTelemetry }) };
  } catch (thrown) {
    if (!isConfigurationError(thrown)) throw thrown;
    const { field = 'keystone', details = '' } = thrown;
    return { problem: { path: field.split('.'), problem: details.replace(`${field}: `, '').replace(`${field} `, '') } };
  }
}

const isConfigurationError = (thrown: unknown): thrown is AllianceError =>
  thrown instanceof AllianceError && thrown.errorName === 'configuration';

/** The remedy of this error in all other commands is to run this one. */
function withRemedy<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!isConfigurationError(thrown)) throw thrown;
    const { details, field, cause } = thrown;
    throw new AllianceError('configuration', {
      ...(details !== undefined && { details }),
      ...(field !== undefined && { field }),
      cause,
      remedy: 'Correct the keys named above; docs/configuration.md lists them all.',
    });
  }
}
