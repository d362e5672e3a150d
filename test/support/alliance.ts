/** The `alliance` command as a process of its own: from the sources or from dist. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { projectPath, startsBuiltCommand } from './project.ts';

/** Program and first arguments; what follows them are the arguments of `alliance`. */
export function alliancePath(): [string, ...string[]] {
  if (startsBuiltCommand) return [process.execPath, projectPath('dist/src/main.js')];
  // Not import.meta.resolve, which tsx leaves out where it makes CommonJS of a test.
  const tsx = createRequire(projectPath('package.json')).resolve('tsx');
  return [process.execPath, '--import', pathToFileURL(tsx).href, projectPath('src/main.ts')];
}

export interface AllianceOptions {
  readonly home?: string;
  /** Added to an environment without any `ALLIANCE_*` or `OS_*` of the machine. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; nothing by default. */
  readonly input?: string;
  /** The process is killed after this long. */
  readonly timeoutMs?: number;
}

export interface AllianceResult {
  /** Exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function environment({ home, env }: AllianceOptions): NodeJS.ProcessEnv {
  const clean = Object.entries(process.env).filter(([name]) => !/^(ALLIANCE|OS)_/.test(name));
  return { ...Object.fromEntries(clean), ...(home === undefined ? {} : { ALLIANCE_HOME: home }), ...env };
}

/** Starts `alliance ARGS` and leaves it running, for `serve` and `demo`. Whoever starts it ends it. */
export function startAlliance(args: readonly string[], options: AllianceOptions = {}): ChildProcessWithoutNullStreams {
  const [program, ...first] = alliancePath();
  return spawn(program, [...first, ...args], { env: environment(options), stdio: 'pipe' });
}

/** Runs `alliance ARGS` to its end. */
export async function runAlliance(args: readonly string[], options: AllianceOptions = {}): Promise<AllianceResult> {
  const child = startAlliance(args, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 30_000);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  // A command that does not read its input may be gone before all of it is written.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  return { code, signal, ...output };
}
