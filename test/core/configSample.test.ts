import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { loadConfig } from '../../src/core/config.ts';
import { findConfigKey } from '../../src/core/configKeys.ts';
import { type SampleOptions, sampleConfig } from '../../src/core/configSample.ts';
import { temporaryDirectory } from '../support/directory.ts';

describe('configSample', () => {
  const home = temporaryDirectory();
  after(() => home.remove());

  const load = (text: string) => {
    writeFileSync(home.file('alliance.yaml'), text);
    return loadConfig({ home: home.path, env: {} });
  };

  it('loads as it is, with what was asked for', () => {
    const bare = load(sampleConfig({ cloudId: 'east' }));
    expect(bare.cloudId).to.equal('east');
    expect(bare.advertise).to.deep.equal([]);
    const options: SampleOptions = {
      cloudId: '123',
      advertise: ['tls://[::1]:9443', 'tcp://east:9441'],
      keystoneUrl: 'https://k:5000/v3#x',
      osCloud: 'yes: no',
    };
    const full = load(sampleConfig(options));
    expect(full.cloudId).to.equal('123');
    expect(full.advertise).to.deep.equal(options.advertise);
    expect(full.keystone).to.deep.equal({ authUrl: options.keystoneUrl, osCloud: options.osCloud });
  });

  it('suggests only keys that exist', () => {
    const uncommented = sampleConfig({ cloudId: 'east' }).replace(/^( *)# ([a-z_]+:)/gm, '$1$2');
    const config = load(
      uncommented.replace(/^ {2} {2}authenticate/m, '    authenticate').replace(/^.*(_file|system_scope):.*$/gm, ''),
    );
    expect(config.keystone.username).to.equal('alliance');
    expect(uncommented).to.match(/Role `service` validates tokens and lists revocations; .*\n.*`reader` on the system/);
    expect(uncommented).to.contain('  system_scope: all\n');
    expect(config.listen.tls).to.deep.equal({ host: '0.0.0.0', port: 9443 });
    expect(findConfigKey(['keystone', 'password_file'])).not.to.equal(undefined);
  });
});
