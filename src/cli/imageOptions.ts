/** Options that the commands of `alliance image` have, and the configuration that they lead to. */
import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { Config } from '../core/config.ts';
import { imageLimits } from '../core/limits.ts';
import { readGlancesyncConf } from '../sync/images/glancesyncConf.ts';
import type { ImagesConfig } from '../sync/images/imagesConfig.ts';
import { imagesConfigOf, saysImages } from '../sync/images/imagesSettings.ts';
import type { Cli } from './cli.ts';
import { usageError } from './failure.ts';
import { readWhole } from './input.ts';

export const formats = ['csv', 'table', 'json'] as const;
export type Format = (typeof formats)[number];

export interface ImageOptions {
  readonly scenario?: string;
  readonly from?: string;
  readonly glancesyncConfig?: string;
  readonly config?: readonly string[];
  readonly compat?: 'glancesync';
  readonly format?: Format;
}

const defaultPath = '/etc/glancesync.conf';

/** Words for what commands work on, in the help of each. */
export const worldHelp = `Regions: R of this cloud, other:R of a target of the configuration, east:R of a partner; other: and east: are all of theirs.
The configuration is --glancesync-config, else $GLANCESYNC_CONFIG, else the section images of alliance.yaml, else ${defaultPath},
else the environment alone: OS_REGION_NAME is the master's region, and OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME
(or OS_TENANT_NAME) and so on log in where the configuration does not say how. With --scenario nobody logs in: OS_REGION_NAME and
OS_PROJECT_NAME (or OS_TENANT_NAME) stand in for what the configuration does not say.`;

/** Options that say what there is. */
export const addConfigurationOptions = (command: Command): Command =>
  command
    .option('--scenario <dir>', 'directory of backup_REGION.csv files that stands for the clouds')
    .option(
      '--glancesync-config <file>',
      `configuration of GlanceSync (default: $GLANCESYNC_CONFIG, else alliance.yaml, else ${defaultPath})`,
    )
    .option(
      '--config <key=value...>',
      'before what the configuration says: for all targets, or for one as other.replace=any; regions come before this',
    )
    .addOption(
      new Option('--compat <program>', 'decide as GlanceSync 1.7 did, mistakes included').choices(['glancesync']),
    )
    .addOption(new Option('--format <format>', 'form of the result (default: table)').choices(formats));

/** The same, and which regions: of all commands that look at some. */
export const addWorldOptions = (command: Command): Command =>
  addConfigurationOptions(
    command
      .argument('[region...]', 'regions: R, other:R, or other: for all of a target or partner; none: all of this cloud')
      .option('--from <cloud[:region]>', 'take the images from this partner or target (default: the master region)'),
  );

export function formatOf(cli: Cli, { format }: Pick<ImageOptions, 'format'>): Format {
  if (cli.json && format !== undefined && format !== 'json')
    throw usageError(`--json and --format ${format} exclude each other.`, '--format');
  return cli.json ? 'json' : (format ?? 'table');
}

/** @param broker the configuration of the one here, where there is one and a scenario does not stand for it */
export async function readImagesConfig(
  cli: Cli,
  { glancesyncConfig, compat, config: overrides = [] }: ImageOptions,
  broker?: Pick<Config, 'images' | 'keystone'>,
): Promise<ImagesConfig> {
  const { env } = cli.world;
  const named = glancesyncConfig ?? env.GLANCESYNC_CONFIG;
  if (!named && broker && (saysImages(broker.images) || !existsSync(defaultPath)))
    return imagesConfigOf(broker.images, { env, overrides, homeRegion: broker.keystone.region });
  const text = await readConf(cli, glancesyncConfig);
  return readGlancesyncConf(text, { env, compat: compat === 'glancesync', overrides });
}

/** The text of the `glancesync.conf` that counts; empty where there is none. */
async function readConf({ world: { env } }: Cli, option: string | undefined): Promise<string> {
  if (option) return readWhole(option, '--glancesync-config', imageLimits.configBytes);
  if (env.GLANCESYNC_CONFIG) return readWhole(env.GLANCESYNC_CONFIG, 'GLANCESYNC_CONFIG', imageLimits.configBytes);
  // Without a file, the environment alone has to do.
  return existsSync(defaultPath) ? readWhole(defaultPath, defaultPath, imageLimits.configBytes) : '';
}
