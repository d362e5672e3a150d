/** A service's configuration before a facade that runs, before Keystone itself, and before nothing. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { findFreePort } from '../../src/server/freePort.ts';

import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { openFacade, type TestFacade } from '../support/facade.ts';
import { checked } from '../support/jsonSchema.ts';

interface Result {
  readonly reaches_facade: boolean;
  readonly facade_url: string;
  readonly findings: readonly {
    readonly setting: string;
    readonly level: string;
    readonly value: string | null;
    readonly message: string;
  }[];
  readonly change: {
    readonly file: string;
    readonly line: number;
    readonly before: string | null;
    readonly after: string;
  } | null;
}

const secret = 'pass-word-of-nova';

describe('check auth-token', () => {
  const directory = temporaryDirectory();
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  let root: string;

  before(async () => {
    keystone = await startSandboxKeystone({ region: 'RegionOne' });
    facade = await openFacade(keystone);
    root = facade.url;
    writeFileSync(
      directory.file('alliance.yaml'),
      JSON.stringify({
        cloud_id: 'east',
        facade: { listen: root.replace('http://', '') },
        keystone: {
          auth_url: keystone.url,
          username: 'admin',
          password: keystone.adminPassword,
          project_name: 'admin',
        },
      }),
    );
  });
  after(async () => {
    await facade.stop();
    await keystone.stop();
    directory.remove();
  });

  const plugin = (url: string) => [
    `auth_url = ${url}`,
    'auth_type = password',
    'username = nova',
    `password = ${secret}`,
  ];
  const good = ['token_cache_time = 10', 'service_type = compute', 'service_token_roles_required = true'];

  async function check(
    lines: readonly string[],
    ...options: string[]
  ): Promise<Result & { code: number; text: string }> {
    const conf = directory.file('nova.conf');
    writeFileSync(conf, ['[DEFAULT]', 'debug = true', '[keystone_authtoken]', ...lines].join('\n'));
    const args = ['check', 'auth-token', '--conf', conf, ...options];
    const home = directory.path;
    const json = await runCommand([...args, '--json'], { home });
    expect(json.stderr).to.equal('');
    const human = await runCommand(args, { home });
    expect(human.code).to.equal(json.code);
    expect(`${json.stdout}${human.stdout}`).not.to.contain(secret);
    return {
      ...checked<Result & Record<string, unknown>>('check-auth-token', JSON.parse(json.stdout)),
      code: json.code,
      text: human.stdout,
    };
  }
  const levelOf = ({ findings }: Result, setting: string) => findings.find((each) => each.setting === setting)?.level;
  const troubles = ({ findings }: Result) =>
    Object.fromEntries(findings.filter(({ level }) => level !== 'ok').map(({ setting, level }) => [setting, level]));

  it('all is well before the facade, with and without /v3', async () => {
    for (const url of [`${root}/v3`, root, `${root}/`]) {
      const result = await check([...plugin(url), ...good]);
      expect([result.code, result.reaches_facade, result.change], result.text).to.deep.equal([0, true, null]);
      expect(result.facade_url).to.equal(root);
    }
  });

  it('the defaults work, with warnings', async () => {
    const result = await check(plugin(`${root}/v3`));
    expect(result.code).to.equal(3);
    expect(troubles(result)).to.deep.equal({
      token_cache_time: 'warning',
      service_type: 'warning',
      service_token_roles_required: 'warning',
    });
    expect(result.text).to.contain('up to 300 s').and.contain('token_cache_time = 10');
  });

  it('before Keystone itself it prints the one line to change, and the way back', async () => {
    const result = await check(['# the service', ...plugin(keystone.url), ...good]);
    expect([result.code, result.reaches_facade]).to.deep.equal([1, false]);
    const file = directory.file('nova.conf');
    const [before, after] = [`auth_url = ${keystone.url}`, `auth_url = ${root}/v3`];
    expect(result.change).to.deep.equal({ file, section: 'keystone_authtoken', line: 5, before, after });
    expect(result.text).to.contain(`  - ${before}\n  + ${after}\nThe way back:\n  - ${after}\n  + ${before}\n`);
    const bare = await check([...plugin(keystone.url.replace(/\/v3$/, '')), ...good]);
    expect(bare.change?.after).to.equal(`auth_url = ${root}`);
  });

  it('nothing answers, or the configuration names nothing', async () => {
    const dead = await check([...plugin(`http://127.0.0.1:${await findFreePort()}/v3`), ...good]);
    expect([dead.code, levelOf(dead, 'auth_url')]).to.deep.equal([1, 'error']);
    const none = await check(['identity_uri = http://keystone:35357', ...good]);
    expect(troubles(none)).to.include({ auth_url: 'error', auth_type: 'error', identity_uri: 'warning' });
    expect(none.change).to.deep.include({ before: null, line: 3, after: `auth_url = ${root}/v3` });
    for (const url of ['keystone:5000', 'ftp://keystone', `${root}/v2.0`])
      expect(levelOf(await check(plugin(url)), 'auth_url'), url).to.equal('error');
  });

  it('follows auth_section, and the last of several values and files', async () => {
    const result = await check([
      'auth_section = service_auth',
      ...good,
      '[service_auth]',
      ...plugin('http://old'),
      `auth_url=${root}/v3`,
    ]);
    expect([result.code, result.change]).to.deep.equal([0, null]);
    const later = directory.file('later.conf');
    writeFileSync(later, '[keystone_authtoken]\ntoken_cache_time: -1\n');
    const both = await check([...plugin(`${root}/v3`), ...good], '--conf', later);
    expect(both.findings.find(({ setting }) => setting === 'token_cache_time')).to.include({
      value: '-1',
      level: 'ok',
    });
  });

  it('without a probe only the URLs count', async () => {
    expect((await check([...plugin(`${root}/v3`), ...good], '--no-probe')).code).to.equal(0);
    expect((await check([...plugin(keystone.url), ...good], '--no-probe')).code).to.equal(1);
  });

  const settings: readonly [line: string, setting: string, level: string][] = [
    ['interface = admin', 'interface', 'ok'],
    ['interface = secret', 'interface', 'error'],
    ['region_name = RegionOne', 'region_name', 'ok'],
    ['region_name = Nowhere', 'region_name', 'error'],
    ['token_cache_time = soon', 'token_cache_time', 'error'],
    ['token_cache_time = 0', 'token_cache_time', 'warning'],
    ['include_service_catalog = False', 'include_service_catalog', 'warning'],
    ['include_service_catalog = maybe', 'include_service_catalog', 'error'],
    ['delay_auth_decision = yes', 'delay_auth_decision', 'warning'],
    ['memcache_servers = cache:11211', 'memcached_servers', 'ok'],
    ['service_token_roles = service, ops', 'service_token_roles', 'warning'],
    ['service_token_roles = Service', 'service_token_roles', 'ok'],
    ['insecure = true', 'insecure', 'warning'],
    ['auth_version = v2.0', 'auth_version', 'error'],
  ];
  for (const [line, setting, level] of settings)
    it(`${line}: ${level}`, async () => {
      const result = await check([...plugin(`${root}/v3`), ...good, line]);
      expect(levelOf(result, setting)).to.equal(level);
      expect(result.code).to.equal({ ok: 0, warning: 3, error: 1 }[level]);
    });

  it('shows no password, wherever it stands', async () => {
    const result = await check([...plugin(`http://nova:${secret}@127.0.0.1:1/v3`), ...good]);
    expect(result.text).to.contain('http://***@127.0.0.1:1/v3');
    await check([...plugin(keystone.url), `memcache_secret_key = ${secret}`]);
    expect(result.text).to.match(/The way back:\n {2}- .*\n {2}\+ your former line, with its user and password\n/);
  });

  const odd: readonly [value: string, shown: string][] = [
    ...[
      `p@${secret}`,
      `${secret}@p`,
      `p/${secret}`,
      `p@/${secret}@p`,
      `p${secret} q`,
      `p "${secret}`,
      `?${secret}`,
    ].map((password) => [`http://nova:${password}@127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'] as [string, string]),
    [`http://nova:p ${secret}@127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'],
    [`nova:${secret}@127.0.0.1:1/v3`, '***@127.0.0.1:1/v3'],
    [`http:\\\\nova:${secret}@127.0.0.1:1/v3`, '***@127.0.0.1:1/v3'],
    [`http:/nova:${secret}@127.0.0.1:1/v3`, '***@127.0.0.1:1/v3'],
    [`ftp://nova:${secret}@127.0.0.1:1/v3`, '***@127.0.0.1:1/v3'],
    [`http://nova:${secret}%40127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'],
    [`http://nova:${secret}\uff20127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'],
    ['http://nova:$password@127.0.0.1:1/v3', 'http://***@127.0.0.1:1/v3'],
    [`http://127.0.0.1:1/v3?password=${secret}`, 'http://127.0.0.1:1/v3?***'],
    [`http://127.0.0.1:1/v3 # was nova:${secret}`, 'http://127.0.0.1:1/v3 #***'],
    [`http://nova:p${secret}\n  more@127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'],
    [`\n  http://nova:${secret}@127.0.0.1:1/v3`, 'http://***@127.0.0.1:1/v3'],
  ];
  for (const [value, shown] of odd)
    it(`shows no password of auth_url = ${JSON.stringify(value)}`, async () => {
      const result = await check([...plugin(value), ...good], '--no-probe');
      expect(result.findings[0]).to.deep.include({ setting: 'auth_url', value: shown });
      expect(result.change?.before).to.equal(`auth_url = ${shown}`);
    });

  for (const [line, shown] of [
    [`memcached_servers = memcached://u:${secret}@mc:11211`, '***@mc:11211'],
    [`memcached_servers = u:${secret}@a:1,\n  u:${secret}@b:2`, '***@b:2'],
    [`region_name = u:${secret}@r`, '***@r'],
    [`service_token_roles = u:${secret}@r`, '***@r'],
    [`identity_uri = nova:x ${secret}@keystone`, '***@keystone'],
    [`insecure = ${secret}@yes`, '***@yes'],
    [`token_cache_time = ${secret}@10`, '***@10'],
    [`auth_version = ${secret}@2`, '***@2'],
    [`interface = ${secret}@x`, '***@x'],
    [`service_type = ${secret}@x`, '***@x'],
    [`cache = ${secret}@x`, '***@x'],
  ] as const)
    it(`shows no password of ${JSON.stringify(line)}`, async () => {
      const result = await check([...plugin(`${root}/v3`), ...good.slice(2), line]);
      expect(result.findings.map(({ value }) => value)).to.include(shown);
    });

  it('shows a value of several lines in one', async () => {
    const result = await check([...plugin(`${root}/v3`), ...good, 'memcached_servers =', '  a:11211,', '  b:11211']);
    const { value } = result.findings.find(({ setting }) => setting === 'memcached_servers')!;
    expect(value).to.equal('a:11211, b:11211');
    expect(result.text).to.contain('a:11211, b:11211');
  });

  it('files that are none', async () => {
    const home = directory.path;
    const bad = directory.file('bad.conf');
    writeFileSync(bad, `[keystone_authtoken]\npassword ${secret}\n`);
    for (const [path, says, exit] of [
      [bad, /bad\.conf: Line 2/, 1],
      ['/nonexistent', /ENOENT/, 2],
      [home, /EISDIR/, 2],
    ] as const) {
      const { code, stderr } = await runCommand(['check', 'auth-token', '--conf', path], { home });
      expect([code, says.test(stderr)], stderr).to.deep.equal([exit, true]);
      expect(stderr).not.to.contain(secret);
    }
  });
});
