/** Clouds that are used by the command line only: a home directory, a sandbox Keystone, and `alliance serve` as a process. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { type AllianceOptions, type AllianceResult, runAlliance, startAlliance } from './alliance.ts';
import { type CommandOptions, type CommandResult, runCommand } from './commandLine.ts';
import { temporaryDirectory } from './directory.ts';
import { checked } from './jsonSchema.ts';
import type { RunningKeystone } from './keystoneApi.ts';
import { until } from './until.ts';

export interface Service {
  readonly child: ChildProcessWithoutNullStreams;
  /** Every line of stdout so far. */
  readonly lines: string[];
  /** Everything on stderr so far. */
  stderr(): string;
  /** Resolves once a line matches. */
  said(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Exit code, after the end. */
  readonly ended: Promise<number | null>;
}

/** Starts a command that goes on, such as `serve`. */
export function startService(args: readonly string[], options: AllianceOptions = {}): Service {
  const child = startAlliance(args, options);
  const lines: string[] = [];
  let [rest, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const said = (pattern: RegExp, timeoutMs = 15_000) =>
    until(`${pattern} of \`${args.join(' ')}\``, () => lines.find((line) => pattern.test(line)), timeoutMs);
  return { child, lines, stderr: () => errors, said, ended };
}

export interface ServedCloud<K extends RunningKeystone = SandboxKeystone> {
  readonly cloudId: string;
  readonly home: string;
  readonly keystone: K;
  readonly ports: { readonly tls: number; readonly tcp: number };
  /** The last one started. */
  service: Service;
  serve(): Promise<Service>;
  /** A command on this home, as a process of its own. */
  run(args: string, options?: AllianceOptions): Promise<AllianceResult>;
  /** The same within this process. */
  quick(args: string, options?: CommandOptions): Promise<CommandResult>;
  /** The same with `--json`, its result held against the schema. */
  json<T = Record<string, unknown>>(schema: string, args: string, options?: CommandOptions): Promise<T>;
  /** Changes the configuration file. */
  configure(changes: object): void;
  stop(): Promise<void>;
}

/** Beside a sandbox Keystone. */
export const openServedCloud = async (cloudId: string): Promise<ServedCloud> =>
  serveBeside(cloudId, await startSandboxKeystone({ region: `${cloudId}-1` }));

/** `keystone` is stopped with it. */
export async function serveBeside<K extends RunningKeystone>(cloudId: string, keystone: K): Promise<ServedCloud<K>> {
  const directory = temporaryDirectory();
  const home = join(directory.path, cloudId);
  const [tls, tcp] = [await findFreePort('127.0.0.1'), await findFreePort('127.0.0.1')];
  const settings: Record<string, unknown> = {
    cloud_id: cloudId,
    advertise: [`tls://127.0.0.1:${tls}`, `tcp://127.0.0.1:${tcp}`],
    listen: { tls: `127.0.0.1:${tls}`, tcp: `127.0.0.1:${tcp}` },
    http: { listen: '127.0.0.1:0' },
    dial: { allow: ['127.0.0.1'] },
    keystone: {
      auth_url: keystone.url,
      username: 'admin',
      password_file: 'keystone.password',
      project_name: 'admin',
    },
  };
  const words = (args: string) => args.split(' ').filter((word) => word !== '');
  const cloud: ServedCloud<K> = {
    cloudId,
    home,
    keystone,
    ports: { tls, tcp },
    service: undefined as never,
    serve: async () => {
      cloud.service = startService(['--home', home, 'serve', '--json']);
      await cloud.service.said(/"ready"/);
      return cloud.service;
    },
    run: (args, options) => runAlliance(words(args), { home, ...options }),
    quick: (args, options) => runCommand(words(args), { home, ...options }),
    json: async (schema, args, options) => {
      const { code, stdout, stderr } = await cloud.quick(`${args} --json`, options);
      if (stderr !== '') throw new Error(`${args}: exit code ${code}, ${stderr}`);
      return checked(schema, JSON.parse(stdout));
    },
    configure: (changes) => {
      Object.assign(settings, changes);
      writeFileSync(join(home, 'alliance.yaml'), stringify(settings), { mode: 0o600 });
    },
    stop: async () => {
      cloud.service?.child.kill('SIGKILL');
      await cloud.service?.ended;
      await keystone.stop();
      directory.remove();
    },
  };
  try {
    const made = await cloud.run(`init --cloud-id ${cloudId} --advertise tls://127.0.0.1:${tls} --json`);
    if (made.code !== 0) throw new Error(made.stderr);
    checked('init', JSON.parse(made.stdout));
    writeFileSync(join(home, 'keystone.password'), keystone.adminPassword, { mode: 0o600 });
    cloud.configure({});
    return cloud;
  } catch (error) {
    await cloud.stop();
    throw error;
  }
}
