import { mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { loadConfig, partnerConfig } from '../../src/core/config.ts';
import { compareConfigs, namesOfChanged, redactConfig } from '../../src/core/configView.ts';
import type { CloudId } from '../../src/core/ids.ts';
import { partnerLimits } from '../../src/core/limits.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { refusal } from '../support/errors.ts';

describe('config', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  const load = (yaml: string, env: Record<string, string> = {}) => {
    writeFileSync(home.file('alliance.yaml'), yaml);
    return loadConfig({ home: home.path, env });
  };
  /** What is wrong with a configuration, a line each. */
  const problems = (yaml: string, env: Record<string, string> = {}): string[] => {
    const details = refusal(() => load(yaml, env), 'configuration').details ?? '';
    return details.split('\n').flatMap((line) => line.trim() || []);
  };

  it('needs no more than a cloud_id, and makes every path absolute', () => {
    const config = load('cloud_id: east\n');
    expect(config.cloudId).to.equal('east');
    expect(config.home).to.equal(home.path);
    expect(config.listen).to.deep.equal({
      tls: { host: '0.0.0.0', port: 9443 },
      tcp: { host: '127.0.0.1', port: 9441 },
    });
    expect(config.http.listen).to.deep.equal({ host: '127.0.0.1', port: 9480 });
    expect(config.database).to.deep.equal({ url: `sqlite:${home.file('alliance.db')}`, kekFile: home.file('kek') });
    expect(config.identity).to.deep.equal({
      keyFile: home.file('key.pem'),
      certificateFile: home.file('certificate.pem'),
    });
    expect(config.exports).to.deep.equal({ interfaces: ['public'], services: [], regions: [] });
    expect(config.limits).to.include({ unauthenticatedPerS: 50, unauthenticatedBurst: 200 });
    expect(config.log.level).to.equal('info');
  });

  it('reads what the file says', () => {
    const config = load(`
      cloud_id: east
      advertise: [tls://East:9443, "tcp://[::1]:9441"]
      listen: {tls: off, tcp: "[::]:0"}
      keystone: {auth_url: "https://k:5000/v3", username: u, cacert: ca.pem, interface: internal}
      dial: {allow: [10.0.0.0/8]}
      database: {url: "sqlite:///var/lib/a.db", kek_file: /secure/kek}
    `);
    expect(config.advertise).to.deep.equal(['tls://east:9443', 'tcp://[::1]:9441']);
    expect(config.listen).to.deep.equal({ tls: null, tcp: { host: '::', port: 0 } });
    expect(config.keystone).to.deep.equal({
      authUrl: 'https://k:5000/v3',
      username: 'u',
      cacert: home.file('ca.pem'),
      interface: 'internal',
    });
    expect(config.dial.allow).to.deep.equal(['10.0.0.0/8']);
    expect(config.database).to.deep.equal({ url: 'sqlite:/var/lib/a.db', kekFile: '/secure/kek' });
  });

  it('gives partners as a Map, with defaults for what they do not say and for those it does not name', () => {
    const config = load(
      'cloud_id: east\npartners:\n  constructor: {authenticate: true}\n  west-1: {calls_per_s: 0}\n  north:\n',
    );
    expect([...config.partners.keys()]).to.have.members(['constructor', 'west-1', 'north']);
    const named = partnerConfig(config, 'constructor' as CloudId);
    expect(named).to.include({ authenticate: true, continuity: 'optional', callsPerS: partnerLimits.callsPerS });
    expect(partnerConfig(config, 'west-1' as CloudId).callsPerS).to.equal(0);
    const stranger = partnerConfig(config, 'tostring' as CloudId);
    expect(stranger).to.include({ authenticate: false, inFlight: partnerLimits.inFlight });
    expect(stranger).to.deep.equal(partnerConfig(config, 'north' as CloudId));
  });

  it('lets the environment win', () => {
    const config = load('cloud_id: east\nkeystone: {auth_url: "http://file/"}\n', {
      ALLIANCE_KEYSTONE__AUTH_URL: 'http://env/',
      ALLIANCE_PARTNERS__WEST_1__AUTHENTICATE: 'true',
      ALLIANCE_PARTNERS__WEST_1__CALLS_PER_S: '1.5',
      ALLIANCE_ADVERTISE: 'tls://a:1, tls://b:2',
      ALLIANCE_HOME: '/elsewhere',
    });
    expect(config.keystone.authUrl).to.equal('http://env/');
    expect(config.advertise).to.deep.equal(['tls://a:1', 'tls://b:2']);
    expect(config.partners.get('west-1' as CloudId)).to.include({ authenticate: true, callsPerS: 1.5 });
  });

  it('reads secrets from their files, without the line end', () => {
    writeFileSync(home.file('p'), 'pass word \n');
    expect(load('cloud_id: east\nkeystone: {password_file: p}\n').keystone.password).to.equal('pass word ');
    const fromEnvironment = load('cloud_id: east\nkeystone: {password_file: p}\n', {
      ALLIANCE_KEYSTONE__PASSWORD: 'e',
    });
    expect(fromEnvironment.keystone).to.deep.equal({ password: 'e' });
    const file = load('cloud_id: east\nidentity: {passphrase: x}\n', { ALLIANCE_IDENTITY__PASSPHRASE_FILE: 'p' });
    expect(file.identity.passphrase).to.equal('pass word ');
  });

  it('refuses a secret file that is missing, empty or a folder', () => {
    writeFileSync(home.file('empty'), '\n');
    mkdirSync(home.file('folder'));
    const problem = (name: string) => problems(`cloud_id: east\nkeystone:\n  password_file: ${name}\n`);
    expect(problem('nope')).to.deep.equal(['keystone.password_file: cannot be read (ENOENT) (line 3)']);
    expect(problem('empty')).to.deep.equal(['keystone.password_file: names an empty file (line 3)']);
    expect(problem('folder')).to.deep.equal(['keystone.password_file: cannot be read (no regular file) (line 3)']);
  });

  it('reports every problem at once, with its path and place', () => {
    const yaml = [
      'cloud_id: East',
      'log: {level: loud, lvl: 1}',
      'auth_url: x',
      'keystone: {auth_url: "http://u:hunter2@k/", password: hunter2, password_file: b, region: 5}',
      'advertise: tls://x:1',
      'listen: 5',
      'limits: {connections: 0, in_flight_per_connection: 1.5}',
      'partners: {US: {}, west: {continuity: maybe}}',
      'database: {url: "postgres://x"}',
    ].join('\n');
    const found = problems(yaml, { ALLIANCE_LIMITS__PINGS_PER_S: 'fast', ALLIANCE_LIMITS__X: '1' });
    expect(found).to.have.members([
      'ALLIANCE_LIMITS__X: is no configuration key',
      'cloud_id: must be 1 to 63 characters of a-z, 0-9 and "-", and must not begin with "-". (line 1)',
      'log.level: must be one of fatal, error, warn, info, debug, trace, silent (line 2)',
      'log.lvl: is no configuration key (line 2)',
      'auth_url: is no configuration key; did you mean keystone.auth_url? (line 3)',
      'keystone.auth_url: must be an http:// or https:// URL without credentials in it (line 4)',
      'keystone.password: and keystone.password_file exclude each other (line 4)',
      'keystone.region: must be text (put it in quotes) (line 4)',
      'advertise: must be a list (line 5)',
      'listen: must be a section (line 6)',
      'limits.connections: must be at least 1 (line 7)',
      'limits.in_flight_per_connection: must be a whole number (line 7)',
      'limits.pings_per_s: must be a number (ALLIANCE_LIMITS__PINGS_PER_S)',
      'partners.US: is not the cloud_id of a partner (line 8)',
      'partners.west.continuity: must be one of optional, required (line 8)',
      'database.url: must be sqlite:PATH (line 9)',
    ]);
    expect(found.join()).not.to.include('hunter2');
  });

  it('reports an address that is none beside an unknown key, in whatever order', () => {
    for (const [yaml, lines] of [
      ['cloud_id: east\nlisten:\n  tls: nowhere\n  tsl: 1\n', [3, 4]],
      ['cloud_id: east\nlisten:\n  tsl: 1\n  tls: nowhere\n', [4, 3]],
    ] as const)
      expect(problems(yaml)).to.deep.equal([
        `listen.tls: "nowhere" must be HOST:PORT, with an IPv6 address in brackets. (line ${lines[0]})`,
        `listen.tsl: is no configuration key (line ${lines[1]})`,
      ]);
  });

  it('takes the scope of the system instead of a project', () => {
    expect(load('cloud_id: east\nkeystone: {system_scope: all}\n').keystone.systemScope).to.equal('all');
    expect(problems('cloud_id: east\nkeystone: {system_scope: all, project_name: p}\n')).to.deep.equal([
      'keystone.system_scope: and keystone.project_name exclude each other (line 2)',
    ]);
    expect(problems('cloud_id: east\nkeystone: {system_scope: some}\n')).to.deep.equal([
      'keystone.system_scope: must be one of all (line 2)',
    ]);
  });

  it('reads targets of images by name, with secrets from their files and absolute paths', () => {
    writeFileSync(home.file('other.password'), 'hunter2\n');
    const auth = '{auth_url: "http://k:5000/v3", username: u, password_file: other.password, cacert: ca.pem}';
    const config = load(`cloud_id: east
images:
  master_region: RegionOne
  targets:
    Other_1: {auth: ${auth}, replace: [any], ignore_regions: [R3]}
    constructor:
`);
    expect(config.images).to.include({ masterRegion: 'RegionOne', parallel: 1 });
    expect([...config.images.targets.keys()]).to.deep.equal(['Other_1', 'constructor']);
    const other = config.images.targets.get('Other_1')!;
    expect(other).to.deep.include({ replace: ['any'], ignoreRegions: ['R3'], onlyTenantImages: true });
    expect(other.auth).to.include({ password: 'hunter2', cacert: home.file('ca.pem') });
    expect(config.images.targets.get('constructor')!.auth).to.deep.equal({});
    const shown = redactConfig(config);
    expect(shown).to.have.nested.property('images.targets.Other_1.auth.password', '[redacted]');
    expect(namesOfChanged(config)).to.include.members(['images.master_region', 'images.targets.Other_1.replace']);
    expect(namesOfChanged(config)).not.to.include('images.targets.Other_1.rename');
  });

  it('reads policies of images by name, from the environment as well, and takes them over on a reload', () => {
    const yaml = (trigger: string) =>
      ['cloud_id: east', 'images:', '  policies:', '    every-night:', `      trigger: "${trigger}"`].join('\n');
    const config = load(yaml('30 2 * * *'), { ALLIANCE_IMAGES__POLICIES__EVERY_NIGHT__TIME_ZONE: 'Europe/Madrid' });
    expect(config.images.policies.get('every-night')).to.deep.equal({
      regions: [],
      only: [],
      trigger: '30 2 * * *',
      timeZone: 'Europe/Madrid',
      overlap: 'skip',
    });
    expect(compareConfigs(config, load(yaml('event'))).reloadable).to.have.members([
      'images.policies.every-night.trigger',
      'images.policies.every-night.time_zone',
    ]);
  });

  it('tells what is wrong with policies of images', () => {
    const policies = '{Night: {}, a: {trigger: 61 * * * *}, b: {time_zone: Mars/X, parallel: 0}}';
    const { details } = refusal(() => load(`cloud_id: east\nimages: {policies: ${policies}}\n`), 'configuration');
    for (const text of [
      'policies.Night: is no name',
      'a.trigger: "61 * * * *" is no cron',
      'b.time_zone: "Mars/X"',
      'b.parallel',
    ])
      expect(details).to.contain(text);
  });

  it('tells what is wrong with targets of images', () => {
    const yaml = `cloud_id: east
images:
  targets:
    a: {auth: {password: hunter2, password_file: x}}
    b: {auth: {auth_url: none}, conditon: x}
    "c:d": {}
`;
    const found = problems(yaml);
    expect(found).to.have.members([
      'images.targets.a.auth.password: and images.targets.a.auth.password_file exclude each other (line 4)',
      'images.targets.b.auth.auth_url: must be an http:// or https:// URL without credentials in it (line 5)',
      'images.targets.b.conditon: is no configuration key (line 5)',
      'images.targets.c:d: is no name of a target: it has a colon, a blank, or no letter (line 6)',
    ]);
    expect(problems('cloud_id: east\nimages: {targets: {a: {auth: {password_file: nowhere}}}}\n')).to.deep.equal([
      'images.targets.a.auth.password_file: cannot be read (ENOENT) (line 2)',
    ]);
  });

  it('names the first field of an error for machines', () => {
    expect(refusal(() => load('cloud_id: east\nlog: {level: x}\n'), 'configuration').field).to.equal('log.level');
  });

  it('says that the home has no broker, unless the environment describes one', () => {
    const empty = temporaryDirectory();
    try {
      refusal(() => loadConfig({ home: empty.path, env: {} }), 'not_initialised');
      const config = loadConfig({ home: empty.path, env: { ALLIANCE_CLOUD_ID: 'east' } });
      expect(config).to.include({ cloudId: 'east', home: empty.path });
    } finally {
      empty.remove();
    }
  });

  it('asks for the cloud_id where it is missing', () => {
    expect(problems('')).to.deep.equal(['cloud_id: is missing']);
    expect(problems('cloud_id:\n')).to.deep.equal(['cloud_id: is empty; it must be text (put it in quotes) (line 1)']);
    expect(problems('cloud_id: target\n')).to.deep.equal(['cloud_id: "target" is reserved. (line 1)']);
  });
});
