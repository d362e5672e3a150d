import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { stringify } from 'yaml';
import {
  type KeystoneConfig,
  namesKeystone,
  resolveKeystone,
  resolveTarget,
  type TargetQuestion,
} from '../../src/lproxy/credentials.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/directory.ts';
import { refusal } from '../support/errors.ts';

const complete: KeystoneConfig = {
  authUrl: 'http://keystone:5000/v3',
  username: 'broker',
  password: 'from-yaml',
  projectName: 'service',
};
const variables = {
  OS_AUTH_URL: 'http://env:5000',
  OS_USERNAME: 'env-user',
  OS_PASSWORD: 'from-env',
  OS_PROJECT_NAME: 'env-project',
  OS_USER_DOMAIN_NAME: 'env-domain',
  OS_PROJECT_DOMAIN_ID: 'env-domain-id',
  OS_REGION_NAME: 'env-region',
  OS_INTERFACE: 'internal',
};
const auth = {
  auth_url: 'http://cloud:5000/v3',
  username: 'cloud-user',
  password: 'from-clouds',
  project_name: 'cloud-project',
};

describe('lproxy/credentials', () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const write = (name: string, content: unknown): string => {
    const file = directory.file(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : stringify(content));
    return file;
  };
  const resolve = (config: KeystoneConfig, env: Record<string, string> = {}) =>
    resolveKeystone(config, { env, directories: [directory.path] });

  describe('targets of images', () => {
    const target = (more: Partial<TargetQuestion>) =>
      resolveTarget({ name: 'other', keys: {}, here: false, env: {}, directories: [directory.path], ...more });
    const own = { authUrl: 'http://other/v3', username: 'u', password: 'p', projectName: 't' };

    it('log in as they say, and with nothing of this cloud', () => {
      const env = { ...variables, OS_CLOUD: 'nowhere' };
      const settings = target({ keys: own, keystone: { ...complete, region: 'R' }, env });
      expect(settings).to.deep.equal({
        authUrl: 'http://other/v3',
        credentials: { method: 'password', user: { name: 'u', domain: { name: 'Default' } }, password: 'p' },
        scope: { project: { name: 't', domain: { name: 'Default' } } },
      });
      const { password: _password, ...part } = own;
      const error = refusal(() => target({ keys: part, keystone: complete, env }), 'configuration');
      expect([error.field, error.details]).to.deep.equal([
        'other.password',
        'other.password is missing: set it there.',
      ]);
    });

    it('this cloud: what the target says, then alliance.yaml, then variables', () => {
      const here = (keys: TargetQuestion['keys'], keystone?: KeystoneConfig) =>
        target({ name: 'master', here: true, keys, env: variables, ...(keystone && { keystone }) });
      expect(here({}).credentials).to.deep.include({ password: 'from-env' });
      expect(here({}, complete)).to.deep.include({ authUrl: 'http://keystone:5000/v3' });
      expect(here({ projectName: 'tenant' }, complete)).to.deep.include({
        authUrl: 'http://keystone:5000/v3',
        scope: { project: { name: 'tenant', domain: { id: 'env-domain-id' } } },
      });
    });

    it('the password of alliance.yaml goes to no other address', () => {
      const keys = { authUrl: 'http://elsewhere/v3', username: 'u', projectName: 't' };
      const ask = (env: Record<string, string>) =>
        target({ name: 'master', here: true, keys, keystone: complete, env });
      expect(refusal(() => ask({}), 'configuration').field).to.equal('master.password');
      expect(ask(variables).credentials).to.deep.include({ password: 'from-env' });
    });

    it('may be an entry of clouds.yaml, or have an application credential', () => {
      write('clouds.yaml', { clouds: { o: { auth } } });
      expect(target({ keys: { osCloud: 'o' } })).to.deep.include({ authUrl: 'http://cloud:5000/v3' });
      const application = { authUrl: 'http://o/v3', applicationCredentialId: 'i', applicationCredentialSecret: 's' };
      expect(target({ keys: application })).to.deep.equal({
        authUrl: 'http://o/v3',
        credentials: { method: 'application_credential', id: 'i', secret: 's' },
      });
    });
  });

  it('takes user and project from the configuration, in the domain Default', () => {
    expect(resolve(complete)).to.deep.equal({
      authUrl: 'http://keystone:5000/v3',
      credentials: {
        method: 'password',
        user: { name: 'broker', domain: { name: 'Default' } },
        password: 'from-yaml',
      },
      scope: { project: { name: 'service', domain: { name: 'Default' } } },
    });
  });

  it('is absent only where nothing names it: half a section is one with mistakes', () => {
    expect(namesKeystone({}, {})).to.equal(false);
    expect(namesKeystone({ authUrl: undefined }, { OS_CLOUD: '', OS_PASSWORD: 'x' })).to.equal(false);
    for (const env of [{ OS_CLOUD: 'east' }, { OS_AUTH_URL: 'http://env:5000' }])
      expect(namesKeystone({}, env)).to.equal(true);
    const { authUrl: _, ...half } = complete;
    expect(namesKeystone(half, {})).to.equal(true);
    expect(refusal(() => resolve(half), 'configuration').field).to.equal('keystone.auth_url');
    expect(refusal(() => resolve({}, { OS_CLOUD: 'east' }), 'configuration').field).to.equal('keystone.os_cloud');
  });

  it('takes everything from OS_ variables', () => {
    expect(resolve({}, variables)).to.deep.equal({
      authUrl: 'http://env:5000',
      credentials: {
        method: 'password',
        user: { name: 'env-user', domain: { name: 'env-domain' } },
        password: 'from-env',
      },
      scope: { project: { name: 'env-project', domain: { id: 'env-domain-id' } } },
      region: 'env-region',
      interface: 'internal',
    });
  });

  it('lets the configuration win over clouds.yaml, and that over variables', () => {
    write('clouds.yaml', { clouds: { east: { auth, region_name: 'cloud-region' } } });
    const resolved = resolve({ osCloud: 'east', username: 'own-user' }, variables);
    expect(resolved.authUrl).to.equal('http://cloud:5000/v3');
    const user = { name: 'own-user', domain: { name: 'env-domain' } };
    expect(resolved.credentials).to.deep.equal({ method: 'password', user, password: 'from-clouds' });
    expect(resolved.region).to.equal('cloud-region');
    expect(resolved.interface).to.equal('internal');
  });

  it('never mixes the project of one source with that of another', () => {
    const env = { ...variables, OS_PROJECT_ID: 'env-id' };
    expect(resolve(complete, env).scope).to.deep.equal({
      project: { name: 'service', domain: { id: 'env-domain-id' } },
    });
    expect(resolve({}, env).scope).to.deep.equal({ project: { id: 'env-id' } });
  });

  it('logs in with an application credential where the first source that names a login names one', () => {
    const own = { applicationCredentialId: 'id', applicationCredentialSecret: 's' };
    const credentials = { method: 'application_credential', id: 'id', secret: 's' };
    const resolved = resolve({ authUrl: 'http://k/v3', ...own }, variables);
    expect(resolved.credentials).to.deep.equal(credentials);
    expect(resolved.scope).to.equal(undefined);
    const env = { OS_APPLICATION_CREDENTIAL_ID: 'id', OS_APPLICATION_CREDENTIAL_SECRET: 's' };
    expect(resolve(complete, env).credentials.method).to.equal('password');
    expect(resolve({ authUrl: 'http://k/v3' }, env).credentials).to.deep.equal(credentials);
  });

  it('names an application credential by name and user', () => {
    const env = { OS_APPLICATION_CREDENTIAL_NAME: 'n', OS_APPLICATION_CREDENTIAL_SECRET: 's', OS_USER_ID: 'u' };
    expect(resolve({ authUrl: 'http://k/v3' }, env).credentials).to.deep.equal({
      method: 'application_credential',
      name: 'n',
      user: { id: 'u' },
      secret: 's',
    });
  });

  it('takes a token of the whole system where asked to', () => {
    expect(resolve({}, { ...variables, OS_PROJECT_NAME: '', OS_SYSTEM_SCOPE: 'all' }).scope).to.deep.equal({
      system: { all: true },
    });
  });

  it('takes the system from the configuration, whatever project another source names', () => {
    const { projectName: _projectName, ...rest } = complete;
    const scope = { system: { all: true } };
    expect(resolve({ ...rest, systemScope: 'all' }).scope).to.deep.equal(scope);
    expect(resolve({ ...rest, systemScope: 'all' }, variables).scope).to.deep.equal(scope);
    expect(resolve(complete, { OS_SYSTEM_SCOPE: 'all' }).scope).to.have.property('project');
  });

  describe('clouds.yaml', () => {
    it('is found through OS_CLIENT_CONFIG_FILE, and the cloud through OS_CLOUD', () => {
      const file = write('else/where.yaml', { clouds: { west: { auth } } });
      const env = { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'west' };
      expect(resolve({}, env).authUrl).to.equal('http://cloud:5000/v3');
      expect(resolve(complete, env).authUrl).to.equal('http://keystone:5000/v3');
    });

    it('is looked for in the directories of openstacksdk', () => {
      write('.config/openstack/clouds.yaml', { clouds: { mine: { auth } } });
      const env = { HOME: directory.path };
      expect(resolveKeystone({ osCloud: 'mine' }, { env }).authUrl).to.equal('http://cloud:5000/v3');
    });

    it('has its secrets in secure.yaml', () => {
      const { password, ...open } = auth;
      write('clouds.yaml', { clouds: { east: { auth: open } } });
      write('secure.yaml', { clouds: { east: { auth: { password } } } });
      expect(resolve({ osCloud: 'east' }).credentials).to.include({ password: 'from-clouds' });
    });

    it('knows application credentials, domains, interface, region and authorities', () => {
      write('ca.pem', '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n');
      const { username: _username, password: _password, ...place } = auth;
      const secret = { application_credential_id: 'id', application_credential_secret: 's' };
      const more = { cacert: 'ca.pem', endpoint_type: 'internalURL', regions: ['r1', 'r2'] };
      const entry = { auth_type: 'v3applicationcredential', auth: { ...place, ...secret }, ...more };
      write('clouds.yml', { clouds: { east: entry } });
      const resolved = resolve({ osCloud: 'east' });
      expect(resolved.credentials).to.deep.equal({ method: 'application_credential', id: 'id', secret: 's' });
      expect(resolved).to.include({ interface: 'internal', region: 'r1' });
      expect(resolved.cacert).to.match(/^-----BEGIN CERTIFICATE-----/);
    });

    it('gives one domain to user and project', () => {
      write('clouds.yaml', { clouds: { east: { auth: { ...auth, domain_id: 'd' } } } });
      const { credentials, scope } = resolve({ osCloud: 'east' });
      expect(credentials).to.have.deep.property('user', { name: 'cloud-user', domain: { id: 'd' } });
      expect(scope).to.deep.equal({ project: { name: 'cloud-project', domain: { id: 'd' } } });
    });

    const wrong: readonly [string, unknown, RegExp][] = [
      ['a missing entry, naming those that are there', { clouds: { a: {}, b: {} } }, /no cloud "east"; it has: a, b/],
      ['verify: false', { clouds: { east: { auth, verify: false } } }, /verify: false/],
      ['another auth_type', { clouds: { east: { auth, auth_type: 'v3oidcpassword' } } }, /v3oidcpassword/],
      ['what is not YAML', 'clouds: {east: {auth: {password: "hidden-word', /not YAML: 1:\d+: /],
      [
        'a password that YAML takes for an alias',
        'clouds:\n  east:\n    password: *hidden-word\n',
        /3:15: UNRESOLVED_ALIAS/,
      ],
    ];
    for (const [what, content, message] of wrong)
      it(`refuses ${what}`, () => {
        write('clouds.yaml', content);
        const error = refusal(() => resolve({ osCloud: 'east' }), 'configuration');
        expect(error.field).to.equal('keystone.os_cloud');
        expect(error.details).to.match(message);
        expect(inspect(error, { depth: 10 })).not.to.include('hidden-word');
      });

    it('refuses to be missing, and says where it looked', () => {
      const error = refusal(() => resolve({ osCloud: 'east' }), 'configuration');
      expect(error.details).to.include(directory.path);
      const env = { OS_CLIENT_CONFIG_FILE: directory.file('none.yaml') };
      expect(refusal(() => resolve({ osCloud: 'east' }, env), 'configuration').details).to.include('ENOENT');
    });
  });

  const gaps: readonly [keyof KeystoneConfig, string, string][] = [
    ['authUrl', 'keystone.auth_url', 'OS_AUTH_URL'],
    ['username', 'keystone.username', 'OS_USERNAME'],
    ['password', 'keystone.password', 'OS_PASSWORD'],
    ['projectName', 'keystone.project_name', 'OS_PROJECT_NAME'],
  ];
  for (const [key, field, variable] of gaps)
    it(`names ${field} where it is missing`, () => {
      const error = refusal(() => resolve({ ...complete, [key]: undefined }), 'configuration');
      expect(error.field).to.equal(field);
      expect(error.details).to.include(variable);
      expect(inspect(error)).not.to.include('from-yaml');
    });

  it('names the half of an application credential that is missing', () => {
    const base = { authUrl: 'http://k/v3' };
    const field = (config: KeystoneConfig) => refusal(() => resolve(config), 'configuration').field;
    expect(field({ ...base, applicationCredentialId: 'i' })).to.equal('keystone.application_credential_secret');
    expect(field({ ...base, applicationCredentialSecret: 's' })).to.equal('keystone.application_credential_id');
  });

  it('refuses an interface that is none, and authorities that cannot be read', () => {
    const env = { OS_INTERFACE: 'outside' };
    expect(refusal(() => resolve(complete, env), 'configuration').field).to.equal('keystone.interface');
    const absent = { ...complete, cacert: directory.file('none.pem') };
    expect(refusal(() => resolve(absent), 'configuration').details).to.include('ENOENT');
    const empty = { ...complete, cacert: write('empty.pem', 'nothing') };
    expect(refusal(() => resolve(empty), 'configuration').details).to.include('no certificate');
  });
});
