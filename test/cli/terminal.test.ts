/** What only a terminal gets: prompts without echo, moving lines, hints. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { Cli } from '../../src/cli/cli.ts';
import { startProgress } from '../../src/cli/progress.ts';
import { alliancePath } from '../support/alliance.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { until } from '../support/until.ts';

describe('command line, at a terminal', function () {
  this.timeout(20_000);
  const directory = temporaryDirectory();
  const home = directory.file('home');
  before(async () => {
    const made = await runCommand(['init', '--cloud-id', 'here'], { home, typed: [] });
    expect(made.code).to.equal(0);
    expect(made.stdout).to.contain('Next:\n  1. ');
  });
  after(() => directory.remove());

  it('asks for a token without showing it', async () => {
    const { code, stdout, stderr } = await runCommand(['partner', 'accept'], {
      home,
      typed: ['alliance1.typed.here\r'],
    });
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr)
      .to.match(/^token: \n/)
      .and.contain('The invitation token cannot be read.');
    expect(stderr).not.to.contain('typed');
  });

  it('Ctrl-C at a prompt ends with 130 and says nothing more', async () => {
    const { code, stderr } = await runCommand(['partner', 'accept'], { home, typed: ['\x03'] });
    expect([code, stderr]).to.deep.equal([130, 'token: \n']);
  });

  it('a real terminal echoes nothing of it', async function () {
    if (process.platform !== 'linux') return this.skip();
    const command = [...alliancePath(), '--home', home, 'partner', 'accept'].join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null']);
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    await until('the prompt', () => shown.includes('token: '), 15_000);
    child.stdin.write('alliance1.secret.words\r');
    const [code] = await once(child, 'close');
    expect(code).to.equal(1);
    expect(shown).to.contain('error: The invitation token cannot be read.').and.not.contain('secret');
  });

  it('invite hints what to do next, and stdout is still the token alone', async () => {
    const { stdout, stderr } = await runCommand(['partner', 'invite'], { home, typed: [] });
    expect(stdout).to.match(/^alliance1\.\S+\n$/);
    expect(stderr).to.contain('within 15 min').and.contain('alliance partner accept -').and.contain('alliance serve');
    expect((await runCommand(['partner', 'invite'], { home })).stderr).to.equal('');
    expect((await runCommand(['partner', 'invite', '--json'], { home, typed: [] })).stderr).to.equal('');
  });

  const progressOn = async (isTTY: boolean, argv: string[] = []) => {
    const stderr = Object.assign(new PassThrough(), { isTTY });
    const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr };
    const progress = startProgress(new Cli({ argv, env: {}, ...streams }), 'Waiting');
    await delay(300);
    progress.say('Still');
    progress.stop();
    return String(stderr.read() ?? '');
  };

  it('progress moves on a terminal and cleans up after itself; elsewhere it is one line; with --json nothing', async () => {
    const moving = await progressOn(true);
    expect(moving).to.contain('| Waiting').and.contain('/ Waiting').and.contain('Still');
    expect(moving.endsWith('\r\x1b[2K')).to.equal(true);
    expect(await progressOn(false)).to.equal('Waiting\n');
    expect(await progressOn(true, ['--json'])).to.equal('');
  });

  it('--verbose logs to stderr, and an error with its stack', async () => {
    const { code, stdout, stderr } = await runCommand(['partner', 'show', 'nobody', '--verbose'], { home });
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.match(/^error: There is no such partner\. nobody\. .*\n.*partner_not_found|AllianceError/);
    expect(stderr).to.contain(' at ');
  });
});
