/** The program itself, as a process. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runAlliance, startAlliance } from './support/alliance.ts';
import { temporaryDirectory } from './support/directory.ts';
import { checked } from './support/jsonSchema.ts';
import { projectPath } from './support/project.ts';

describe('main', function () {
  this.timeout(30_000);
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
});
