/** `alliance image import-config, config-sample` */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { imageLimits } from '../core/limits.ts';
import { readGlancesyncConf } from '../sync/images/glancesyncConf.ts';
import { sampleGlancesyncConf } from '../sync/images/glancesyncSample.ts';
import { toSettings } from '../sync/images/toSettings.ts';
import type { Cli } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { readWhole } from './input.ts';
import { printable } from './text.ts';

export function addImportConfig(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'import-config <file>',
    summary: 'print what a glancesync.conf says as the section images of alliance.yaml',
    more: 'Passwords are left out, unless --with-passwords asks for them: put each into a file of its own (password_file).',
    examples: ['image import-config /etc/glancesync.conf', 'image import-config glancesync.conf --with-passwords'],
  })
    .option('--with-passwords', 'print passwords, too')
    .action((file: string, options: { withPasswords?: boolean }) => finish(cli, importConfig(cli, file, options)));
}

async function importConfig(cli: Cli, file: string, { withPasswords = false }: { withPasswords?: boolean }) {
  const text = await readWhole(file, 'file', imageLimits.configBytes);
  const config = readGlancesyncConf(text, { env: {}, compat: false });
  const { images, withoutPassword, notes } = toSettings(config, withPasswords);
  cli.print({ images }, stringify({ images }, { lineWidth: 0 }).trimEnd());
  for (const name of withoutPassword)
    cli.note(
      printable(
        `${name}: the password is left out: put it into a file (mode 0600), and its name into images.targets.${name}.auth.password_file.`,
      ),
    );
  for (const note of notes) cli.note(printable(note));
  return undefined;
}

export function addConfigSample(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'config-sample',
    summary: 'print a commented glancesync.conf with every option',
    examples: ['image config-sample > glancesync.conf'],
  }).action(() => cli.print({ text: sampleGlancesyncConf }, sampleGlancesyncConf.trimEnd()));
}
