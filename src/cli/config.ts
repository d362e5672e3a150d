/** `alliance config check, show` */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { openKeystone } from '../broker/broker.ts';
import { configPath } from '../broker/files.ts';
import { systemClock } from '../core/clock.ts';
import { type Config, loadConfig } from '../core/config.ts';
import { redactConfig } from '../core/configView.ts';
import { AllianceError } from '../core/errors.ts';
import { silentTelemetry } from '../core/telemetry.ts';
import type { Cli } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';

export function addConfig(program: Command, cli: Cli): void {
  const group = addGroup(program, 'config', 'the configuration in force', 'config check');
  addCommand(group, {
    usage: 'check',
    summary: 'check alliance.yaml and the environment; reports all problems at once',
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
  const { config, keystone } = examine(cli);
  await keystone?.close();
  const path = configPath(config.home);
  cli.print({ ok: true, file: path, cloud_id: config.cloudId, keystone: keystone !== undefined }, [
    `${path}: ok`,
    ...(keystone ? [] : ['There is no Keystone in it: the broker pairs and pings, and answers no token calls.']),
  ]);
  return undefined;
}

/** Says what is missing of Keystone's credentials, too; nothing is asked of Keystone itself. */
function examine({ home, env }: Cli): { config: Config; keystone: ReturnType<typeof openKeystone> } {
  try {
    const config = loadConfig({ home, env });
    return { config, keystone: openKeystone({ config, env, clock: systemClock, telemetry: silentTelemetry }) };
  } catch (thrown) {
    if (!(thrown instanceof AllianceError && thrown.errorName === 'configuration')) throw thrown;
    const { details, field, cause } = thrown;
    // The remedy of this error in all other commands is to run this one.
    throw new AllianceError('configuration', {
      ...(details !== undefined && { details }),
      ...(field !== undefined && { field }),
      cause,
      remedy: 'Correct the keys named above; docs/configuration.md lists them all.',
    });
  }
}
