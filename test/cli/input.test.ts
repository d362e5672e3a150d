/** Files of command lines that are none: pipes that nobody writes to, devices without end, what is too large. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { alliancePath } from '../support/alliance.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';

describe('cli/input', function () {
  this.timeout(40_000);
  const directory = temporaryDirectory();
  const home = directory.file('home');
  const pipe = directory.file('pipe');
  before(async function () {
    if (process.platform !== 'linux') this.skip();
    expect((await runCommand(['init', '--cloud-id', 'here'], { home })).code).to.equal(0);
    execFileSync('/usr/bin/mkfifo', [pipe]);
  });
  after(() => directory.remove());

  const commands: readonly (readonly [words: string, most: RegExp])[] = [
    ['check auth-token --no-probe --conf', /larger than 4 MiB/],
    ['mapping set --partner p', /larger than 64 KiB/],
    ['token validate --partner p --file', /larger than 64 KiB/],
    ['token issue --partner p --user u --password-file', /larger than 64 KiB/],
    ['partner accept --file', /larger than 64 KiB/],
    ['identity rotate --certificate c --key', /larger than 64 KiB/],
    ['audit verify --file', /a line of it is longer than 256 KiB/],
  ];
  const run = async (words: string, path: string) => {
    const { code, stdout, stderr } = await runCommand([...words.split(' '), path], { home });
    expect([code, stdout], `${words} ${path}: ${stderr}`).to.deep.equal([2, '']);
    return stderr;
  };
  const each = (work: (words: string, most: RegExp) => Promise<void>) =>
    Promise.all(commands.map(([words, most]) => work(words, most)));

  it('a pipe that nobody writes to is given up', () =>
    each(async (words) => {
      expect(await run(words, pipe)).to.match(/pipe cannot be read \(nobody writes to it\)\. See/);
    }));

  it('of a device without end no more is read than it may hold', () =>
    each(async (words, most) => {
      expect(await run(words, '/dev/zero')).to.match(most);
    }));

  it('what is not there is told, and what is a directory', () =>
    each(async (words) => {
      expect(await run(words, directory.file('none'))).to.match(/none cannot be read \(ENOENT\)/);
      expect(await run(words, directory.path)).to.match(/cannot be read \(EISDIR\)/);
    }));

  it('what a shell substitutes is read, and standard input by its name', () => {
    const conf = directory.file('nova.conf');
    writeFileSync(conf, '[keystone_authtoken]\ntoken_cache_time = 7\n');
    const words = '--conf <(cat "$CONF"; sleep 0.1) --conf <(echo "[keystone_authtoken]"; echo "interface = admin")';
    const script = `echo '[keystone_authtoken]
region_name = R' | "$@" --home "$HOME_OF" check auth-token --no-probe --json ${words} --conf /dev/stdin`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...alliancePath()], {
      encoding: 'utf8',
      env: { ...process.env, CONF: conf, HOME_OF: home },
    });
    const { findings } = JSON.parse(stdout || stderr) as { findings: { setting: string; value: string }[] };
    const values = Object.fromEntries(findings.map(({ setting, value }) => [setting, value]));
    expect(values).to.include({ token_cache_time: '7', interface: 'admin' });
  });
});
