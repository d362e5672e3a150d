import { expect } from 'chai';
import {
  isCloudId,
  newPartnerUid,
  newRequestId,
  parseCloudId,
  parsePartnerName,
  reservedNames,
} from '../../src/core/ids.ts';
import { refusal } from '../support/errors.ts';

describe('ids', () => {
  for (const text of ['a', '0', 'east', 'east-1', '9-', `a${'b'.repeat(62)}`])
    it(`takes cloud_id ${text.slice(0, 12)}`, () => {
      expect(parseCloudId(text)).to.equal(text);
      expect(isCloudId(text)).to.equal(true);
    });

  const refused = ['', '-a', 'East', 'a_b', 'a.b', 'a b', 'é', 'a\n', `a${'b'.repeat(63)}`, 7, null, undefined, ['a']];
  for (const text of refused)
    it(`refuses cloud_id ${JSON.stringify(text)?.slice(0, 12)}`, () => {
      expect(refusal(() => parseCloudId(text), 'bad_request').field).to.equal('cloud_id');
      expect(isCloudId(text)).to.equal(false);
    });

  it('refuses every reserved word, as cloud_id and as name', () => {
    for (const word of reservedNames) {
      expect(isCloudId(word)).to.equal(false);
      refusal(() => parseCloudId(word), 'name_reserved');
      expect(refusal(() => parsePartnerName(word), 'name_reserved').field).to.equal('name');
    }
    expect([...reservedNames]).to.include.members(['target', 'other', 'all', 'none', 'local', 'master', 'main']);
  });

  it('makes partner uids of 26 characters of base32, and request ids, each another', () => {
    const uids = new Set(Array.from({ length: 1000 }, newPartnerUid));
    expect(uids.size).to.equal(1000);
    for (const uid of uids) expect(uid).to.match(/^[a-z2-7]{26}$/);
    expect(newRequestId()).to.match(/^[\w-]{16}$/);
    expect(newRequestId()).not.to.equal(newRequestId());
  });
});
