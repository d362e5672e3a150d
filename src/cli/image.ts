/** `alliance image status, plan, diff`, and the other commands of the group. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { addBackup } from './imageBackup.ts';
import { addConfigSample, addImportConfig } from './imageConfig.ts';
import { addWorldOptions, formatOf, type ImageOptions, worldHelp } from './imageOptions.ts';
import { addPolicy } from './imagePolicy.ts';
import { withWorld } from './imageReal.ts';
import { addOrphans, addRegions } from './imageRegions.ts';
import { addSync } from './imageSync.ts';
import { diffForm, planForm, report, statusForm } from './imageView.ts';
import { exitForPlans, planAll } from './imageWorld.ts';

export function addImage(program: Command, cli: Cli): void {
  const group = addGroup(
    program,
    'image',
    "images between regions and clouds, by GlanceSync's rules",
    'image status --from east',
  );
  for (const { name, summary, form } of [
    { name: 'status', summary: 'show the status of each selected image in each region', form: statusForm },
    { name: 'plan', summary: 'show what a sync would do, in its order; changes nothing', form: planForm },
    { name: 'diff', summary: 'show in which fields images differ from the master', form: diffForm },
  ])
    addWorldOptions(
      addCommand(group, {
        usage: name,
        summary,
        more: `${worldHelp}\nExit code 0: all regions could be looked at, 3: some, 1: none.`,
        examples: [
          `image ${name} Burgos other: --glancesync-config glancesync.conf`,
          `image ${name} --from east`,
          `image ${name} --scenario DIR --compat glancesync --format csv`,
        ],
      }),
    ).action((words: string[], options: ImageOptions) =>
      finish(
        cli,
        withWorld(cli, words, options, async (world) => {
          const format = formatOf(cli, options);
          const planned = await planAll(world);
          report(cli, form, { master: world.masterName, format, planned });
          return exitForPlans(planned);
        }),
      ),
    );
  addSync(group, cli);
  addRegions(group, cli);
  addOrphans(group, cli);
  addBackup(group, cli);
  addPolicy(group, cli);
  addImportConfig(group, cli);
  addConfigSample(group, cli);
}
