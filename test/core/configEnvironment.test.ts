import { expect } from 'chai';
import { applyOverride, readEnvironment } from '../../src/core/configEnvironment.ts';

describe('configEnvironment', () => {
  const settingsOf = (env: Record<string, string>) =>
    readEnvironment(env).settings.map(({ path, value }) => [path.join('.'), value]);
  const problemsOf = (env: Record<string, string>) =>
    readEnvironment(env).problems.map(({ path, problem }) => `${path}: ${problem}`);

  it('reads each value as the type of its key', () => {
    const env = {
      ALLIANCE_LOG__LEVEL: 'debug',
      ALLIANCE_LIMITS__CONNECTIONS: '12',
      ALLIANCE_PARTNERS__EAST__AUTHENTICATE: 'false',
      ALLIANCE_EXPORTS__SERVICES: 'image, compute',
      ALLIANCE_EXPORTS__REGIONS: '',
      ALLIANCE_CLOUD_ID: '42',
    };
    expect(settingsOf(env)).to.deep.equal([
      ['log.level', 'debug'],
      ['limits.connections', 12],
      ['partners.east.authenticate', false],
      ['exports.services', ['image', 'compute']],
      ['exports.regions', []],
      ['cloud_id', '42'],
    ]);
  });

  it('leaves what is no number or truth value for the schema to refuse', () => {
    const env = { ALLIANCE_LIMITS__CONNECTIONS: '1e3', ALLIANCE_PARTNERS__EAST__AUTHENTICATE: 'yes' };
    expect(settingsOf(env)).to.deep.equal([
      ['limits.connections', '1e3'],
      ['partners.east.authenticate', 'yes'],
    ]);
  });

  it('names a partner by its cloud_id in capitals', () => {
    expect(settingsOf({ ALLIANCE_PARTNERS__EAST_1_B__CALLS_BURST: '3' })).to.deep.equal([
      ['partners.east-1-b.calls_burst', 3],
    ]);
  });

  it('refuses what is almost ours', () => {
    const env = {
      ALLIANCE_KEYSTONE_AUTH_URL: 'x',
      ALLIANCE_CLOUDID: 'x',
      ALLIANCE_KEYSTONE: 'x',
      ALLIANCE_FOO__BAR: 'x',
      ALLIANCE_LOG__LEVL: 'x',
    };
    expect(problemsOf(env)).to.deep.equal([
      'ALLIANCE_KEYSTONE_AUTH_URL: is no configuration key; did you mean ALLIANCE_KEYSTONE__AUTH_URL?',
      'ALLIANCE_CLOUDID: is no configuration key; did you mean ALLIANCE_CLOUD_ID?',
      'ALLIANCE_KEYSTONE: names a section, not a key',
      'ALLIANCE_FOO__BAR: is no configuration key',
      'ALLIANCE_LOG__LEVL: is no configuration key; did you mean ALLIANCE_LOG__LEVEL?',
    ]);
  });

  it("leaves others' variables alone", () => {
    const kubernetes = { ALLIANCE_SERVICE_HOST: 'x', ALLIANCE_PORT: 'x', ALLIANCE_PORT_9443_TCP_ADDR: 'x' };
    expect(readEnvironment({ ...kubernetes, ALLIANCE_HOME: '/x', PATH: '/bin', OS_CLOUD: 'x' })).to.deep.equal({
      settings: [],
      problems: [],
    });
  });

  const override = (path: string[], value: unknown) => ({ variable: 'X', path, value });

  it('makes sections that the file lacks, also where their names are those of every object', () => {
    const settings = {};
    applyOverride(settings, override(['partners', 'constructor', 'authenticate'], true), new Set());
    expect(settings).to.deep.equal({ partners: { constructor: { authenticate: true } } });
    expect(({} as { authenticate?: boolean }).authenticate).to.equal(undefined);
  });

  it('replaces the other form of a secret, unless the environment has both', () => {
    const fromFile = () => ({ keystone: { password_file: 'f' } });
    const alone = fromFile();
    applyOverride(alone, override(['keystone', 'password'], 'p'), new Set(['keystone.password']));
    expect(alone).to.deep.equal({ keystone: { password: 'p' } });
    const both = fromFile();
    const overridden = new Set(['keystone.password', 'keystone.password_file']);
    applyOverride(both, override(['keystone', 'password'], 'p'), overridden);
    expect(both).to.deep.equal({ keystone: { password: 'p', password_file: 'f' } });
  });

  it('leaves a section that is none for the schema to refuse', () => {
    const settings = { keystone: 'text' };
    applyOverride(settings, override(['keystone', 'password'], 'p'), new Set());
    expect(settings).to.deep.equal({ keystone: 'text' });
  });
});
