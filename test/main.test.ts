/** The program itself, as a process. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { initHome } from '../src/broker/init.ts';
import { openInstallation } from '../src/broker/installation.ts';
import { createLogger } from '../src/core/log.ts';
import { alliancePath, runAlliance, startAlliance } from './support/alliance.ts';
import { auditEntry } from './support/audit.ts';
import { temporaryDirectory } from './support/directory.ts';
import { checked } from './support/jsonSchema.ts';
import { projectPath } from './support/project.ts';

describe('main', function () {
  this.timeout(60_000);
  const directory = temporaryDirectory();
  after(() => directory.remove());

  it('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as { version: string };
    expect(await runAlliance(['--version'])).to.deep.include({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('without a command, help goes to stderr, and the exit code is that of wrong usage', async () => {
    const { code, stdout, stderr } = await runAlliance([]);
    expect([code, stdout]).to.deep.equal([2, '']);
    expect(stderr)
      .to.match(/^Usage: alliance/)
      .and.contain('Exit codes:');
  });

  it('the home is that of --home, else of ALLIANCE_HOME, else under HOME', async () => {
    const homeOf = async (args: string[], env: Record<string, string>) => {
      const { stderr } = await runAlliance([...args, 'status', '--json'], { env });
      return checked<{ message: string }>('error', JSON.parse(stderr)).message;
    };
    const env = { HOME: directory.path };
    expect(await homeOf([], env)).to.contain(join(directory.path, '.local/share/alliance'));
    const named = { ...env, ALLIANCE_HOME: directory.file('named') };
    expect(await homeOf([], named)).to.contain(directory.file('named'));
    expect(await homeOf(['--home', directory.file('given')], named)).to.contain(directory.file('given'));
  });

  it('a reader that has gone is no error', async () => {
    const child = startAlliance(['--help']);
    child.stdout.destroy();
    const errors: string[] = [];
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
    const [code] = await once(child, 'close');
    expect([code, errors.join('')]).to.deep.equal([0, '']);
  });

  /** In a shell, which leads its standard output to where nothing goes. */
  const inShell = (script: string, ...args: string[]) => {
    const [program, ...first] = alliancePath();
    return spawnSync('bash', ['-c', script, 'bash', program, ...first, ...args], { encoding: 'utf8' });
  };

  it('an output that takes no more is an error of one line, for every command', function () {
    if (process.platform !== 'linux') return this.skip();
    for (const args of [['--help'], ['completion', 'bash']]) {
      const { status, stderr } = inShell('exec "$@" > /dev/full', ...args);
      expect([status, stderr.match(/\n/g)], `${args}: ${stderr}`).to.deep.equal([1, ['\n']]);
      expect(stderr).to.match(/^error: Standard output takes no more.* ENOSPC\. Make room/);
    }
    const { status, stderr } = inShell('exec "$@" > /dev/full', 'completion', 'bash', '--json');
    expect(status).to.equal(1);
    expect(checked('error', JSON.parse(stderr))).to.include({ code: 1610, name: 'output_lost' });
  });

  it('a result of which a part fits is none', function () {
    if (process.platform !== 'linux') return this.skip();
    const file = directory.file('part');
    // As on a disk with one block left; a process that does not ignore SIGXFSZ would end by it.
    const { status, stderr } = inShell(`trap '' XFSZ; ulimit -f 1; exec "$@" > '${file}'`, 'completion', 'bash');
    expect([status, statSync(file).size], stderr).to.deep.equal([1, 1024]);
    expect(stderr).to.match(/^error: Standard output takes no more.* EFBIG\./);
  });

  it('a result in a file is there whole, also behind another one', () => {
    const file = directory.file('whole');
    expect(inShell(`"$@" > '${file}' && "$@" >> '${file}'`, 'completion', 'bash').status).to.equal(0);
    const { stdout } = inShell('"$@"', 'completion', 'bash');
    expect(readFileSync(file, 'utf8')).to.equal(stdout + stdout);
  });

  it('a reader that has gone changes no exit code, and a result that is cut off is no success', async function () {
    if (process.platform !== 'linux') return this.skip();
    const home = directory.file('east');
    await initHome({ home, env: {}, cloudId: 'east', advertise: ['tls://east.example:9443'] });
    const installation = await openInstallation({ home, env: {}, log: createLogger({ level: 'silent' }) });
    await Promise.all(Array.from({ length: 1000 }, () => installation.store.audit.append(auditEntry())));
    await installation.close();
    const piped = (reader: string, ...args: string[]) => {
      const script = `"$@" | ${reader}; exit "\${PIPESTATUS[0]}"`;
      const { status, stderr } = inShell(script, '--home', home, ...args);
      return [status, stderr];
    };
    expect(piped('true', 'status'), 'all is well').to.deep.equal([0, '']);
    expect(piped('true', 'audit', 'export')).to.deep.equal([141, '']);
    expect(piped('head -1 > /dev/null', 'audit', 'export')).to.deep.equal([141, '']);
    expect(piped('cat > /dev/null', 'audit', 'export')).to.deep.equal([0, '']);
    const db = new Sqlite(join(home, 'alliance.db'));
    db.exec("update audit set outcome = 'denied' where seq = 7");
    db.close();
    for (const args of [['audit', 'verify'], ['audit', 'verify', '--json'], ['status']])
      expect(piped('true', ...args), args.join(' ')).to.deep.equal([1, '']);
  });

  it('errors that nobody takes leave the exit code', function () {
    if (process.platform !== 'linux') return this.skip();
    expect(inShell('exec "$@" 2> /dev/full', 'no-such-command').status).to.equal(2);
  });
});
