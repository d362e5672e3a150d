import { expect } from 'chai';
import { findOrphans } from '../../../src/sync/images/orphans.ts';
import { imageWith, project } from '../../support/images.ts';

describe('sync/images/orphans', () => {
  it('are ours, and neither by name nor by content in the master', () => {
    const hash = (value: string) => ({ algorithm: 'sha512', value });
    const master = [
      imageWith('name', { checksum: 'm1' }),
      imageWith('inactive', { status: 'queued', checksum: null }),
      imageWith('hashed', { checksum: null, hash: hash('h1') }),
    ];
    const listing = [
      imageWith('name', { id: '1', checksum: 'x' }),
      imageWith('inactive', { id: '2', checksum: 'x' }),
      imageWith('same md5', { id: '3', checksum: 'm1' }),
      imageWith('same hash', { id: '4', checksum: 'x', hash: hash('h1') }),
      imageWith('foreign', { id: '5', checksum: 'x', owner: 'somebody' }),
      imageWith('z alone', { id: '6', checksum: 'x', hash: hash('h2') }),
      imageWith('alone', { id: '8', checksum: null }),
      imageWith('alone', { id: '7', checksum: null }),
    ];
    const unfinished = [imageWith('name', { id: '9', status: 'queued' })];
    const found = findOrphans({ master, listing, unfinished, projectId: project });
    expect(found.map(({ image, unfinished: open }) => [image.id, open])).to.deep.equal([
      ['7', false],
      ['8', false],
      ['9', true],
      ['6', false],
    ]);
  });
});
