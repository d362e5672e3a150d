import { expect } from 'chai';
import type { StoredImage } from '../../../src/lproxy/imageStore.ts';
import { toWireImage } from '../../../src/server/images/encode.ts';
import { plainImage } from '../../support/glanceContract.ts';

const image: StoredImage = {
  ...plainImage({
    name: 'one',
    properties: new Map([
      ['os_distro', 'debian'],
      ['alliance_partner', 'whose it is'],
      ['partner_alliance_transfer', 'what its broker notes'],
    ]),
  }),
  id: 'id',
  owner: 'p',
  status: 'active',
  sizeBytes: 10,
  checksum: null,
  hash: null,
  createdAt: null,
  updatedAt: null,
};

describe('server/images/encode', () => {
  it('tells what a partner notes on an image to that partner only', () => {
    const propertiesFor = (yours: boolean) => toWireImage({ image, yours }).attributes.properties;
    expect(propertiesFor(true)).to.deep.equal({
      os_distro: 'debian',
      partner_alliance_transfer: 'what its broker notes',
    });
    expect(propertiesFor(false)).to.deep.equal({ os_distro: 'debian' });
  });
});
