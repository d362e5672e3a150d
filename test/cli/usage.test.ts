/** What holds for every command: help with an example, a published schema, one form of errors, exit codes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import type { Command } from 'commander';
import { Cli } from '../../src/cli/cli.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { checked, schemaNames } from '../support/jsonSchema.ts';

const program = await buildProgram(
  new Cli({ argv: [], env: {}, stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }),
);

const leaves = (command: Command, path: string[] = []): string[][] =>
  command.commands.length === 0 ? [path] : command.commands.flatMap((each) => leaves(each, [...path, each.name()]));

const commands = leaves(program);

describe('command line', () => {
  const directory = temporaryDirectory();
  const home = directory.file('home');
  after(() => directory.remove());

  it('loads the command that is named, and all of them for help, completion and whoever mistyped', async () => {
    const namesFor = async (line: string) => {
      const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
      const tree = await buildProgram(new Cli({ argv: line.split(' '), env: {}, stdin, stdout, stderr }));
      return tree.commands.map((command) => command.name()).filter((name) => name !== 'help');
    };
    const all = program.commands.map((command) => command.name()).filter((name) => name !== 'help');
    for (const name of all.filter((each) => each !== 'completion'))
      for (const line of [name, `${name} serve`, `--json --home status ${name} --help`, `--home=status ${name}`])
        expect(await namesFor(line), line)
          .to.include(name)
          .and.have.lengthOf.at.most(2);
    for (const line of ['--help', 'help serve', 'completion bash', 'sevre', '--home serve', 'constructor'])
      expect(await namesFor(line), line).to.deep.equal(all);
  });

  it('has every command that the manual names', () => {
    const names = commands.map((path) => path.join(' '));
    const partner = 'invite accept list show approve set renew suspend resume revoke remove doctor';
    expect(names).to.have.members([
      ...'init serve status ping services endpoints backup restore completion demo'.split(' '),
      ...partner.split(' ').map((name) => `partner ${name}`),
      ...['session list', 'session open', 'session close', 'token validate', 'token issue', 'revocations lag'],
      ...['token qualify', 'token explain', 'token keys', 'token trust-key'],
      ...['mapping set', 'mapping show', 'mapping test', 'mapping diff'],
      ...['provision project', 'provision list', 'provision remove', 'check auth-token'],
      ...['identity show', 'identity rotate', 'config check', 'config show'],
      ...['image status', 'image plan', 'image diff', 'image sync', 'image backup', 'image config-sample'],
      ...['image regions', 'image orphans', 'image import-config'],
      ...['image policy list', 'image policy run', 'image policy enable', 'image policy disable'],
      ...['list', 'show', 'logs', 'stop', 'approve', 'retry'].map((name) => `execution ${name}`),
      ...['audit list', 'audit verify', 'audit export'],
    ]);
  });

  it('has a schema for every command, and no other', () => {
    const shared = ['common', 'error', 'partner', 'image-sync-event'];
    expect(schemaNames).to.have.members([...commands.map((path) => path.join('-')), ...shared]);
  });

  for (const path of commands)
    it(`${path.join(' ')} --help has an example of it`, async () => {
      const { code, stdout, stderr } = await runCommand([...path, '--help']);
      expect([code, stderr]).to.deep.equal([0, '']);
      const own = stdout.split('Examples:\n')[1] ?? '';
      expect(own).to.contain(`alliance`).and.contain(path.join(' '));
      expect(stdout).to.contain('--json').and.contain('--home');
    });

  const wrong: readonly (readonly [args: string, says: RegExp])[] = [
    ['nonsense', /Unknown command 'nonsense'/],
    ['partner lsit', /Did you mean list/],
    ['partner list --all', /Unknown option '--all'/],
    ['partner list more', /too many arguments/i],
    ['ping', /Missing required argument 'partner'/],
    ['ping west --count 0', /whole number/],
    ['ping west --interval soon', /duration/],
    ['partner invite --ttl 15', /duration such as/],
    ['partner invite --role friend', /provider, consumer, both/],
    ['partner invite --trust-till tomorrow', /date such as/],
    ['partner invite --trust-till 2027-02-31T00:00', /no such day|date/],
    ['partner renew west', /--trust-till/],
    ['partner set west --endpoint http://west', /tls:\/\/HOST:PORT/],
    ['partner accept', /token is missing/],
    ['partner accept -', /token is empty/],
    ['partner accept x --file y', /not both/],
    ['partner accept --file /nonexistent', /ENOENT/],
    ['partner accept x --timeout 1m', /--timeout is for --wait/],
    ['serve --tls 9443', /HOST:PORT/],
    ['token validate x', /--partner/],
    ['token issue --partner east', /Whose token/],
    ['token issue --partner east --user u --password-file /nonexistent', /ENOENT/],
    ['identity rotate --key k.pem', /belong together/],
    ['identity rotate --compromised --overlap 1d', /no overlap/],
    ['audit list --since tomorrow', /how long ago/],
    ['audit list --kind gossip', /Allowed choices|pairing, trust/],
    ['audit list --limit 5000', /at most 1000/],
    ['audit verify --part', /--file/],
    ['audit verify --file x --ask', /not about a file/],
    ['image status --from', /argument missing/],
    ['image sync --scenario-out y', /goes with --scenario/],
    ['image sync --max-bytes many', /number of bytes/],
    ['image sync --scenario x --only y', /has no bytes to send/],
    ['image import-config /nonexistent', /ENOENT/],
    ['image status --scenario x --compat swift', /Allowed choices|glancesync/],
    ['image sync --scenario x --dry-run --scenario-out y', /--dry-run/],
    ['image status --scenario x --glancesync-config /nonexistent', /ENOENT/],
    ['image plan --scenario x --format xml', /Allowed choices|csv, table/],
    ['completion tcsh', /Allowed choices|bash, zsh, fish/],
    ['init --cloud-id NOT_GOOD', /cloud_id must be/],
    ['init --cloud-id all', /reserved/],
    ['restore /nonexistent', /no file/],
    ['restore /tmp', /no file/],
    ['mapping set --partner east', /--none/],
    ['mapping diff x --partner east --since soon', /duration/],
    ['provision project web', /--partner/],
    ['check auth-token', /--conf/],
    ['provision list --direction up', /Allowed choices|in, out/],
    ['session', /command is missing/],
  ];
  for (const [args, says] of wrong)
    it(`alliance ${args}: wrong usage, in both forms`, async () => {
      const json = await runCommand([...args.split(' '), '--json'], { home });
      expect([json.code, json.stdout], json.stderr).to.deep.equal([2, '']);
      const error = checked<{ message: string }>('error', JSON.parse(json.stderr));
      expect(error.message).to.match(says);
      const human = await runCommand(args.split(' '), { home });
      expect([human.code, human.stdout]).to.deep.equal([2, '']);
      if (args !== 'session')
        expect(human.stderr)
          .to.match(/^error: /)
          .and.match(says);
    });

  it('a home without a broker is an error with a remedy, for every command that needs one', async () => {
    const needs = [
      'status',
      'partner list',
      'partner show x',
      'ping x',
      'identity show',
      'session list',
      'revocations lag',
      'config show',
      'audit list',
      'audit verify',
    ];
    for (const args of [...needs, 'serve', 'backup /tmp/never']) {
      const { code, stderr, stdout } = await runCommand([...args.split(' '), '--json'], { home: join(home, 'none') });
      expect([code, stdout], args).to.deep.equal([1, '']);
      expect(checked('error', JSON.parse(stderr)), args).to.include({ code: 1605, name: 'not_initialised' });
    }
  });

  it('a home that cannot be made is an error that says so', async () => {
    // Node's own way to make directories with those above them never ends below /proc.
    for (const place of ['/proc/nope/home', '/dev/null/home']) {
      const { code, stderr } = await runCommand(['init', '--cloud-id', 'east', '--json'], { home: place });
      expect([code, JSON.parse(stderr).name], stderr).to.deep.equal([1, 'configuration']);
      expect(stderr).to.contain(place);
    }
  });

  it('all problems of a configuration come at once', async () => {
    const broken = directory.file('broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'alliance.yaml'), 'cloud_id: NO\nlisten: { tls: here }\nnonsense: 1\n');
    const { code, stderr } = await runCommand(['config', 'check'], { home: broken });
    expect(code).to.equal(1);
    for (const problem of ['cloud_id', 'listen.tls', 'nonsense']) expect(stderr).to.contain(problem);
    expect(stderr)
      .to.contain('Correct the keys named above; docs/configuration.md lists them all.')
      .and.not.contain('config check');
    const other = await runCommand(['config', 'show', '--json'], { home: broken });
    expect(JSON.parse(other.stderr).remedy).to.equal('Run `alliance config check`.');
  });

  it('config check and show, with secrets redacted and the environment over the file', async () => {
    const good = directory.file('good');
    mkdirSync(good);
    const keystone = '{ auth_url: "http://k/v3", username: u, password: very-secret, project_name: p }';
    writeFileSync(join(good, 'alliance.yaml'), `cloud_id: good\nkeystone: ${keystone}\n`);
    const check = await runCommand(['config', 'check', '--json'], { home: good });
    expect(checked('config-check', JSON.parse(check.stdout))).to.include({ ok: true, keystone: true });
    const env = { ALLIANCE_HOME: good, ALLIANCE_LOG__LEVEL: 'error' };
    const shown = await runCommand(['config', 'show', '--json'], { env });
    const settings = checked('config-show', JSON.parse(shown.stdout));
    expect(settings).to.deep.include({ cloud_id: 'good', log: { level: 'error' } });
    expect(shown.stdout).to.contain('[redacted]').and.not.contain('very-secret');
    expect((await runCommand(['config', 'show'], { env })).stdout).to.contain('level: error\n');
    const missing = { ...env, ALLIANCE_KEYSTONE__PROJECT_NAME: '' };
    expect((await runCommand(['config', 'check'], { env: missing })).code).to.equal(1);
    writeFileSync(join(good, 'alliance.yaml'), 'cloud_id: good\n');
    expect((await runCommand(['config', 'check'], { env })).stdout).to.contain('There is no Keystone in it');
  });
});
