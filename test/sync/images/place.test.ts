import { expect } from 'chai';
import { placeOf } from '../../../src/sync/images/place.ts';

describe('places', () => {
  it('are the same however a catalog writes them', () => {
    const ways = [
      'http://Glance.west:9292',
      'http://glance.west:9292/',
      'https://glance.west:9292/v2',
      'http://glance.west:9292/v2.0/',
    ];
    expect(new Set(ways.map(placeOf)).size).to.equal(1);
    expect(placeOf('https://west/image/v2/')).to.equal(placeOf('http://WEST:80/image'));
  });

  it('are others where host, port or path are', () => {
    const ways = [
      'http://west:9292',
      'http://east:9292',
      'http://west:9293',
      'http://west:9292/image',
      'http://west',
      'no URL',
    ];
    expect(new Set(ways.map(placeOf)).size).to.equal(ways.length);
  });
});
