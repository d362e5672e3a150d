import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { checked } from '../support/jsonSchema.ts';

interface Report {
  readonly code: number;
  readonly stderr: string;
  readonly initialised?: boolean;
  readonly warnings?: readonly string[];
}

describe('cli/configExamination', () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const put = (name: string, text: string, mode = 0o600) => {
    writeFileSync(directory.file(name), text);
    chmodSync(directory.file(name), mode);
  };
  /** As `init` leaves a home, as far as this check looks. */
  const initialise = () => {
    for (const name of ['key.pem', 'certificate.pem', 'kek', 'alliance.db']) put(name, 'x');
  };
  const check = async (yaml = '', env: Record<string, string> = {}): Promise<Report> => {
    put('alliance.yaml', `cloud_id: east\n${yaml}`);
    const home = directory.path;
    const { code, stdout, stderr } = await runCommand(['config', 'check', '--json'], { home, env });
    return { code, stderr, ...(code === 0 && checked<object>('config-check', JSON.parse(stdout))) };
  };
  const refuses = async (yaml: string, ...words: readonly string[]) => {
    const { code, stderr } = await check(yaml);
    expect(code, yaml).to.equal(1);
    for (const word of words) expect(stderr, yaml).to.contain(word);
  };

  it('is content with a home as init leaves it, and with one before', async () => {
    expect(await check()).to.deep.include({ code: 0, initialised: false, warnings: [] });
    const text = await runCommand(['config', 'check'], { home: directory.path });
    expect(text.stdout).to.contain('alliance init');
    initialise();
    expect(await check()).to.deep.include({ code: 0, initialised: true, warnings: [] });
  });

  it('names every file that is not there', async () => {
    initialise();
    const elsewhere = [
      'identity: { key_file: /nonexistent/key, certificate_file: /nonexistent/certificate }',
      'database: { kek_file: /nonexistent/kek, url: "sqlite:/nonexistent/db" }',
    ].join('\n');
    const all = ['identity.key_file', 'identity.certificate_file', 'database.kek_file', 'database.url'];
    await refuses(elsewhere, ...all, 'there is no directory /nonexistent');
    for (const name of ['key.pem', 'certificate.pem', 'kek', 'alliance.db']) {
      rmSync(directory.file(name));
      await refuses('', `there is no ${directory.file(name)}`);
      put(name, 'x');
    }
    mkdirSync(directory.file('identities'));
    rmSync(directory.file('key.pem'));
    expect((await check()).code, 'the first key after a rotation').to.equal(0);
  });

  it('two listeners of one address', async () => {
    await refuses('listen: { tls: "0.0.0.0:9443", tcp: "127.0.0.1:9443" }', 'listen.tcp', 'taken by listen.tls');
    await refuses(
      'listen: { tls: "localhost:7000", tcp: "127.0.0.1:7000" }\nhttp: { listen: "[::]:7000" }',
      'listen.tcp',
      'http.listen',
    );
    const apart = 'listen: { tls: "127.0.0.1:7000", tcp: "127.0.0.2:7000" }\nhttp: { listen: "[::1]:7000" }';
    expect((await check(apart)).code).to.equal(0);
    expect((await check('listen: { tls: "127.0.0.1:0", tcp: "127.0.0.1:0" }')).code).to.equal(0);
  });

  it('an endpoint that nobody can dial, or where nobody listens', async () => {
    for (const endpoint of ['tls://0.0.0.0:9443', 'tcp://[::]:9441'])
      await refuses(`advertise: ["${endpoint}"]`, 'advertise', endpoint);
    const { code, warnings } = await check('advertise: [tls://east.example:9443]\nlisten: { tls: off }');
    expect([code, warnings]).to.deep.equal([
      0,
      ['advertise: partners are told tls://east.example:9443, but listen.tls is off'],
    ]);
  });

  it('files that others can read', async () => {
    initialise();
    for (const name of ['key.pem', 'kek']) {
      chmodSync(directory.file(name), 0o640);
      await refuses('', `chmod 600 ${directory.file(name)}`);
      chmodSync(directory.file(name), 0o600);
    }
    put('key.pem', '-----BEGIN ENCRYPTED PRIVATE KEY-----', 0o644);
    put('word', 'secret-word', 0o604);
    const { code, warnings, stderr } = await check('identity: { passphrase_file: word }');
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(warnings).to.deep.equal([
      `identity.passphrase_file: others than its owner have access to ${directory.file('word')}: run \`chmod 600 ${directory.file('word')}\``,
    ]);
    const open = async (yaml: string, env = {}) => {
      put('alliance.yaml', `cloud_id: east\n${yaml}`, 0o644);
      return (await runCommand(['config', 'check'], { home: directory.path, env })).stdout;
    };
    expect(await open('identity: { passphrase: secret-word }')).to.match(
      /warning: identity.passphrase: .*alliance.yaml/,
    );
    expect(await open('', { ALLIANCE_IDENTITY__PASSPHRASE: 'secret-word' })).not.to.contain('warning');
  });

  it("tells of Keystone's credentials at the same time", async () => {
    const half = 'keystone: { username: u, password: p, project_name: p }';
    const { code, stderr } = await check(`${half}\nadvertise: [tls://0.0.0.0:1]`);
    expect(code).to.equal(1);
    expect(stderr).to.contain('advertise: ').and.contain('keystone.auth_url: is missing');
    const elsewhere = await check('', { OS_CLOUD: 'mycloud', HOME: directory.path, XDG_CONFIG_HOME: directory.path });
    expect([elsewhere.code, elsewhere.stderr]).to.deep.include(1);
    expect(elsewhere.stderr).to.contain('keystone.os_cloud');
  });

  it('of images, what no sync could work by', async () => {
    initialise();
    await refuses(
      [
        'images:',
        '  bwlimit: fast',
        '  targets: {other: {metadata_condition: "image.size <"}}',
        '  policies: {p: {condition: "import os", bwlimit: "25:00,1M"}, q: {condition: "image.size > 5"}}',
        '',
      ].join('\n'),
      ...['images.bwlimit', 'images.targets.other.metadata_condition', 'images.policies.p.condition'],
      'images.policies.p.bwlimit',
    );
    expect((await check('images: {bwlimit: 50M, policies: {q: {condition: "image.size > 5"}}}\n')).code).to.equal(0);
  });
});
