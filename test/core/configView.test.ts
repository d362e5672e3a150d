import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/core/config.ts';
import { configKeys } from '../../src/core/configKeys.ts';
import { compareConfigs, isReloadable, namesOfChanged, redactConfig } from '../../src/core/configView.ts';
import { temporaryDirectory } from '../support/directory.ts';

describe('configView', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  const load = (settings: object) => {
    writeFileSync(home.file('alliance.yaml'), stringify({ cloud_id: 'east', ...settings }));
    return loadConfig({ home: home.path, env: {} });
  };

  it('shows everything in force without secrets, in the form of the file', () => {
    const config = load({
      identity: { passphrase: 'hunter2' },
      keystone: { auth_url: 'http://k/', password: 'hunter2', application_credential_secret: 'hunter2' },
      listen: { tls: 'off', tcp: '[::1]:9441' },
      partners: { 'west-1': { calls_per_s: 5 } },
    });
    const shown = redactConfig(config);
    expect(JSON.stringify(shown)).not.to.include('hunter2');
    expect(shown).to.deep.include({
      cloud_id: 'east',
      listen: { tls: 'off', tcp: '[::1]:9441' },
      http: { listen: '127.0.0.1:9480' },
      keystone: { auth_url: 'http://k/', password: '[redacted]', application_credential_secret: '[redacted]' },
    });
    expect(shown).to.have.nested.property('partners.west-1.calls_per_s', 5);
  });

  it('shows what loads again to the same configuration', () => {
    const config = load({ partners: { west: { authenticate: true } }, advertise: ['tls://east:9443'] });
    const again = load(redactConfig(config));
    expect(compareConfigs(config, again)).to.deep.equal({ reloadable: [], needRestart: [] });
    expect(again).to.deep.equal(config);
  });

  it('tells what a reload can apply and what it cannot', () => {
    const before = load({ partners: { west: {} }, keystone: { password: 'a' } });
    const after = load({
      partners: { west: { authenticate: true }, north: { calls_per_s: 1 } },
      keystone: { password: 'b' },
      listen: { tls: '127.0.0.1:1' },
      log: { level: 'debug' },
      dial: { allow: ['10.0.0.0/8'] },
      limits: { keystone_concurrency: 2, pings_per_s: 1 },
    });
    const { reloadable, needRestart } = compareConfigs(before, after);
    expect(reloadable).to.include.members(['log.level', 'dial.allow', 'partners.west.authenticate']);
    expect(reloadable).to.include.members(['partners.north.calls_per_s', 'limits.pings_per_s']);
    expect(needRestart).to.have.members(['listen.tls', 'keystone.password', 'limits.keystone_concurrency']);
  });

  it('names only what differs from what was in force, defaults included', () => {
    const [none, west, other] = [{}, { west: { authenticate: true, in_flight: 512 } }, { west: { in_flight: 7 } }].map(
      (partners) => load({ partners }),
    );
    expect(compareConfigs(none!, west!).reloadable).to.deep.equal(['partners.west.authenticate']);
    expect(compareConfigs(west!, none!).reloadable).to.deep.equal(['partners.west.authenticate']);
    expect(compareConfigs(none!, load({ partners: { west: {} } })).reloadable).to.deep.equal([]);
    expect(compareConfigs(west!, other!).reloadable).to.have.members([
      'partners.west.authenticate',
      'partners.west.in_flight',
    ]);
  });

  it('names what is not at its default, where paths are written as they were', () => {
    expect(namesOfChanged(load({}))).to.deep.equal([]);
    const changed = load({
      partners: { west: { authenticate: true, provision: { projects: 3 } } },
      identity: { key_file: 'other.pem' },
      listen: { tcp: 'off' },
      keystone: { password: 'b' },
    });
    expect(namesOfChanged(changed)).to.have.members([
      ...['identity.key_file', 'listen.tcp', 'keystone.password'],
      ...['partners.west.authenticate', 'partners.west.provision.projects'],
    ]);
  });

  it('reloads these keys and no others', () => {
    const names = configKeys.filter(({ path }) => isReloadable(path)).map(({ path }) => path.join('.'));
    expect(names).to.include.members(['log.level', 'dial.allow', 'exports.services', 'partners.*.authenticate']);
    expect(names).to.include('limits.keystone_concurrency_per_partner');
    expect(names).not.to.include('limits.keystone_concurrency');
    expect(new Set(names.map((name) => name.split('.')[0]))).to.deep.equal(
      new Set(['tokens', 'exports', 'partners', 'audit', 'dial', 'limits', 'log', 'images']),
    );
    expect(names).to.include('images.policies.*.trigger');
    expect(names).not.to.include('images.rest');
  });
});
