import { expect } from 'chai';
import { configKeys, configKeysBelow, findConfigKey, isConfigSection } from '../../src/core/configKeys.ts';

describe('configKeys', () => {
  it('describes every key in a sentence', () => {
    expect(configKeys.length).to.be.greaterThan(40);
    for (const { path, description } of configKeys) expect(description, path.join('.')).to.match(/^\S.*\.$/);
  });

  it('knows type, default, values and secrecy', () => {
    expect(findConfigKey(['log', 'level'])).to.include({ type: 'string', default: 'info', secret: false });
    expect(findConfigKey(['log', 'level'])?.values).to.include('debug');
    expect(findConfigKey(['listen', 'tls'])).to.include({ type: 'string', default: '0.0.0.0:9443' });
    expect(findConfigKey(['limits', 'connections'])).to.include({ type: 'number', default: 4096 });
    expect(findConfigKey(['exports', 'interfaces'])).to.deep.include({ type: 'list', default: ['public'] });
    expect(findConfigKey(['partners', 'east', 'authenticate'])).to.include({ type: 'boolean', default: false });
  });

  it('marks exactly the secrets', () => {
    expect(configKeys.filter(({ secret }) => secret).map(({ path }) => path.join('.'))).to.deep.equal([
      'identity.passphrase',
      'keystone.password',
      'keystone.application_credential_secret',
      'images.targets.*.auth.password',
      'images.targets.*.auth.application_credential_secret',
    ]);
  });

  it('gives every secret a file form', () => {
    for (const { path } of configKeys.filter(({ secret }) => secret))
      expect(findConfigKey([...path.slice(0, -1), `${path.at(-1)}_file`]), path.join('.')).to.include({
        type: 'string',
      });
  });

  it('tells keys, sections and strangers apart', () => {
    expect(findConfigKey(['keystone'])).to.equal(undefined);
    expect(findConfigKey(['keystone', 'x'])).to.equal(undefined);
    expect(isConfigSection(['keystone'])).to.equal(true);
    expect(isConfigSection(['partners', 'east'])).to.equal(true);
    expect(isConfigSection(['cloud_id'])).to.equal(false);
    expect(isConfigSection(['x'])).to.equal(false);
    expect(configKeysBelow(['listen'])).to.deep.equal(['tls', 'tcp']);
    expect(configKeysBelow([])).to.include.members(['cloud_id', 'partners']);
  });
});
