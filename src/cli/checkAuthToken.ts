/** `alliance check auth-token` */
import type { Command } from 'commander';
import { openKeystone } from '../broker/broker.ts';
import { readRegularFile } from '../core/boundedFile.ts';
import { systemClock } from '../core/clock.ts';
import { type Config, loadConfig } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { authTokenLimits, fileLimits } from '../core/limits.ts';
import { parseOsloFile } from '../core/osloFile.ts';
import { OsloSettings } from '../core/osloSettings.ts';
import { silentTelemetry } from '../core/telemetry.ts';
import { rootOf } from '../http/facade/self.ts';
import { probeFacade } from '../lproxy/facadeProbe.ts';
import {
  authTokenSection,
  authUrlOf,
  type Finding,
  hidden,
  judgeAuthToken,
  pluginSection,
  type Surroundings,
  showable,
  wantedAuthUrl,
} from './authToken/judge.ts';
import { type Cli, exits } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { readWhole } from './input.ts';
import { formatTable, printable } from './text.ts';
import { collect } from './values.ts';

interface Options {
  readonly conf: readonly string[];
  readonly probe: boolean;
}

interface ReadFile {
  readonly path: string;
  readonly lines: readonly string[];
}

export function addCheck(program: Command, cli: Cli): void {
  const group = addGroup(program, 'check', 'services of this cloud', 'check auth-token --conf /etc/nova/nova.conf');
  addCommand(group, {
    usage: 'auth-token',
    summary: "tell whether a service's configuration leads to the facade, and which of its settings will bite",
    more: `Reads [keystone_authtoken] as the service does, and asks what answers at auth_url, without any credentials. Nothing
is changed. Exit code 0: all is well, 1: it does not reach the facade or cannot work, 3: it works, with warnings.`,
    examples: [
      'check auth-token --conf /etc/glance/glance-api.conf',
      'check auth-token --conf /usr/share/nova/nova-dist.conf --conf /etc/nova/nova.conf --json',
    ],
  })
    .requiredOption(
      '--conf <path>',
      'configuration file, several times in the order in which the service reads them',
      collect,
    )
    .option('--no-probe', 'only read: do not ask what answers at auth_url')
    .action((options: Options) => finish(cli, check(cli, options)));
}

async function check(cli: Cli, { conf, probe }: Options): Promise<number> {
  const config = loadConfig(cli);
  const files: ReadFile[] = [];
  // One after the other, as two of them may be one pipe.
  for (const path of conf) files.push(await readFile(path));
  const settings = new OsloSettings(files.map(({ path, lines }) => parse(path, lines.join('\n'))));
  const around = await lookAround(config, cli.env, settings, probe);
  const findings = judgeAuthToken(settings, around);
  const change = changeOf(settings, files, around.facadeUrl, findings);
  const reaches = findings.some(({ setting, level }) => setting === 'auth_url' && level !== 'error');
  cli.print({ reaches_facade: reaches, facade_url: around.facadeUrl, findings, change }, [
    ...formatTable(
      ['RESULT', 'SETTING', 'VALUE', 'WHY'],
      findings.map(({ level, setting, value, message }) => [level, setting, value ?? '-', message]),
    ),
    ...(change ? describeChange(change) : []),
    ...(around.facadeUrl === null
      ? ['', 'facade.listen is off, or facade.url is missing: see docs/configuration.md.']
      : []),
  ]);
  if (findings.some(({ level }) => level === 'error')) return exits.failed;
  return findings.some(({ level }) => level === 'warning') ? exits.partly : exits.done;
}

async function readFile(path: string): Promise<ReadFile> {
  const text = await readWhole(path, '--conf', authTokenLimits.fileBytes);
  return { path, lines: text.split(/\r\n|\r|\n/) };
}

function parse(path: string, text: string) {
  try {
    return parseOsloFile(text);
  } catch (thrown) {
    const { field, details } = thrown as AllianceError;
    // Nothing is wrong with what was typed, nor with the broker's own configuration.
    throw new AllianceError('configuration', {
      field: `${path}, ${field}`,
      details: `${path}: ${details}`,
      remedy: 'Correct that line of the service: it does not start with it.',
    });
  }
}

async function lookAround(
  config: Config,
  env: Cli['env'],
  settings: OsloSettings,
  probe: boolean,
): Promise<Surroundings> {
  const authUrl = authUrlOf(settings)?.value;
  const mayProbe = probe && authUrl !== undefined && /^https?:\/\//i.test(authUrl) && URL.canParse(authUrl);
  const insecure = /^(true|1|on|yes)$/i.test(settings.find(authTokenSection, 'insecure')?.value ?? '');
  const cafile = settings.find(authTokenSection, 'cafile')?.value;
  const [found, endpoints] = await Promise.all([
    mayProbe ? probeFacade(authUrl, { insecure, cacert: cafile === undefined ? undefined : readCa(cafile) }) : null,
    probe ? identityEndpoints(config, env) : null,
  ]);
  return {
    facadeUrl: facadeUrlOf(config),
    probe: found,
    endpoints,
    serviceTokenRoles: config.tokens.serviceTokenRoles,
  };
}

/** A file that is not here is one of the service's host; without it the system's authorities count. */
function readCa(path: string): string | undefined {
  try {
    return readRegularFile(path, fileLimits.authoritiesBytes).text;
  } catch {
    return undefined;
  }
}

function facadeUrlOf({ facade }: Config): string | null {
  try {
    if (facade.listen === null && facade.url === undefined) return null;
    return rootOf(facade.url, facade.listen ?? { host: '', port: 0 }, facade.certificateFile !== undefined);
  } catch {
    return null;
  }
}

/** What the broker's own Keystone says; a Keystone that does not answer is no matter of this command. */
async function identityEndpoints(config: Config, env: Cli['env']): Promise<Surroundings['endpoints']> {
  try {
    const keystone = openKeystone({ config, env, clock: systemClock, telemetry: silentTelemetry });
    if (!keystone) return null;
    try {
      const services = await keystone.listServices({ type: 'identity' });
      const lists = await Promise.all(services.map(({ id }) => keystone.listEndpoints({ serviceId: id })));
      return lists.flat();
    } finally {
      await keystone.close();
    }
  } catch (thrown) {
    if (thrown instanceof AllianceError) return null;
    throw thrown;
  }
}

/** One line, as it stands and as it should; null `before`: a line to add after `line`. */
interface Change {
  readonly file: string;
  readonly section: string;
  readonly line: number;
  readonly before: string | null;
  readonly after: string;
}

function changeOf(
  settings: OsloSettings,
  files: readonly ReadFile[],
  facadeUrl: string | null,
  findings: readonly Finding[],
): Change | null {
  const wrong = findings.some(({ setting, level }) => setting === 'auth_url' && level === 'error');
  if (!wrong || facadeUrl === null) return null;
  const found = authUrlOf(settings);
  const section = pluginSection(settings);
  const after = `auth_url = ${wantedAuthUrl(found?.value, facadeUrl)}`;
  if (!found) {
    const last = files.at(-1)!;
    const line = last.lines.findIndex((text) => text.trimEnd().toLowerCase() === `[${section.toLowerCase()}]`) + 1;
    return { file: last.path, section, line: line || last.lines.length, before: null, after };
  }
  const { path, lines } = files[found.file]!;
  const before = showableLine(lines[found.line - 1]!.trimEnd(), found.value);
  return before === after ? null : { file: path, section: found.section, line: found.line, before, after };
}

/** A line, as far as its value may be shown, which may have gone on in the next one. */
function showableLine(line: string, value: string): string {
  const shown = showable(value);
  return shown.includes(hidden) ? `${line.slice(0, line.search(/[=:]/) + 1)} ${shown}` : line;
}

function describeChange({ file, section, line, before, after }: Change): string[] {
  const where = `${printable(file)}, line ${line}, in [${printable(section)}]`;
  const [minus, plus] = [before === null ? [] : [`  - ${printable(before)}`], `  + ${printable(after)}`];
  const back =
    before === null
      ? []
      : [`  + ${before.includes(hidden) ? 'your former line, with its user and password' : printable(before)}`];
  return [
    '',
    `The change: ${where}`,
    ...minus,
    plus,
    'The way back:',
    `  - ${printable(after)}`,
    ...back,
    'The service has to be restarted after either.',
  ];
}
