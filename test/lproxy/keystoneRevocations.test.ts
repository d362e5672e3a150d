import { expect } from 'chai';
import { criteria, parseEvents } from '../../src/lproxy/keystoneRevocations.ts';
import { refusal } from '../support/errors.ts';
import { fullEvent } from '../support/revocations.ts';

const at = '2030-01-01T00:00:05.000000Z';
const times = { issued_before: at, revoked_at: '2030-01-01T00:00:07.000000Z' };
const parsed = { issuedBefore: Date.UTC(2030, 0, 1, 0, 0, 5), revokedAt: Date.UTC(2030, 0, 1, 0, 0, 7) };
const parse = (...events: object[]) => parseEvents(JSON.stringify({ events, links: { next: null } }));

describe("Keystone's list of revocations", () => {
  it('is read with every member that says which tokens are meant', () => {
    const [event] = parse({
      ...times,
      audit_id: 'a',
      audit_chain_id: 'c',
      user_id: 'u',
      project_id: 'p',
      domain_id: 'd',
      domain_scope_id: 's',
      role_id: 'r',
      'OS-TRUST:trust_id': 't',
      expires_at: at,
    });
    expect(event).to.deep.equal({ ...fullEvent(parsed.issuedBefore), ...parsed, expiresAt: parsed.issuedBefore });
    expect(Object.keys(event!)).to.include.members([...criteria]);
  });

  it('leaves out what is about tokens of OAuth alone, for without that it would be about every token', () => {
    expect(
      parse({ ...times, 'OS-OAUTH1:consumer_id': 'c' }, { ...times, 'OS-OAUTH1:access_token_id': 'a' }),
    ).to.deep.equal([]);
    expect(parse({ ...times, 'OS-OAUTH1:consumer_id': 'c', user_id: 'u' })).to.deep.equal([{ ...parsed, userId: 'u' }]);
    expect(parse(times)).to.deep.equal([parsed]);
  });

  it('may have any text for an id', () => {
    for (const userId of ['', 'Jane Doe', "o'neil", 'line\nbreak', 'u'.repeat(1000)])
      expect(parse({ ...times, user_id: userId })).to.deep.equal([{ ...parsed, userId }]);
  });

  it('is refused whole where an event cannot be read', () => {
    for (const bad of [{}, { issued_before: 'soon' }, { ...times, user_id: 7 }])
      refusal(() => parse({ ...times, user_id: 'u' }, bad), 'keystone_malformed');
    refusal(() => parseEvents('[]'), 'keystone_malformed');
  });
});
