import { expect } from 'chai';
import { carryOver, readRestrictions } from '../../src/token/restrictions.ts';

const token = {
  methods: ['password'],
  user: { id: 'u', name: 'u', domain: { id: 'd', name: 'D' } },
  audit_ids: ['a'],
  expires_at: '2030-01-01T01:00:00.000000Z',
  issued_at: '2030-01-01T00:00:00.000000Z',
};
const carry = (more: object, accessRules = false) => {
  const restrictions = readRestrictions({ token: { ...token, ...more } });
  return 'reason' in restrictions ? restrictions : carryOver(restrictions, accessRules);
};
const reasonOf = (result: ReturnType<typeof carryOver>) => ('reason' in result ? result.reason : 'carried');

describe('token/restrictions', () => {
  it('carries times, audit ids and methods over as they are', () => {
    const { user: _user, ...rest } = token;
    expect(carry({ roles: [], catalog: [], is_admin_project: true, is_domain: false })).to.deep.equal(rest);
    const expires_at = '2030-01-01T01:00:00.500000';
    expect(carry({ expires_at }), 'as Keystone writes it of an application credential').to.deep.include({ expires_at });
  });

  const rules = [{ id: 'r1', path: '/v2/images', method: 'GET', service: 'image' }];
  const credential = { id: 'c', name: 'n', restricted: true };

  it('carries access rules only to whom enforces them, and then unchanged', () => {
    for (const access_rules of [rules, []]) {
      const application_credential = { ...credential, access_rules };
      expect(reasonOf(carry({ application_credential }))).to.equal('restricted');
      expect(carry({ application_credential }, true)).to.deep.include({ application_credential });
    }
    expect(carry({ application_credential: credential })).to.deep.include({ application_credential: credential });
  });

  const refused: readonly (readonly [what: string, more: object, reason: string])[] = [
    ['a trust', { 'OS-TRUST:trust': { id: 't' } }, 'restricted'],
    ['OAuth 1', { 'OS-OAUTH1': { access_token_id: 'x' } }, 'restricted'],
    ['a certificate binding', { oauth2_credential: { 'x5t#S256': 'x' } }, 'restricted'],
    ['what nobody knows', { 'OS-NEW:limit': {} }, 'restricted'],
    ['an unknown credential', { application_credential: { ...credential, only_on_sundays: true } }, 'restricted'],
    [
      'a rule of an unknown form',
      { application_credential: { ...credential, access_rules: [{ hours: '8-17' }] } },
      'restricted',
    ],
    ['rules that are no list', { application_credential: { ...credential, access_rules: null } }, 'restricted'],
    [
      'rules without end',
      { application_credential: { ...credential, access_rules: Array(101).fill(rules[0]) } },
      'restricted',
    ],
    [
      'a long rule',
      { application_credential: { ...credential, access_rules: [{ ...rules[0], path: 'x'.repeat(256) }] } },
      'restricted',
    ],
    ['a credential that is none', { application_credential: 'c' }, 'restricted'],
    ['a domain', { domain: { id: 'd', name: 'D' } }, 'scope_refused'],
    ['the system', { system: { all: true } }, 'scope_refused'],
    ['a project that is a domain', { is_domain: true }, 'scope_refused'],
    ['a time that services cannot read', { expires_at: 'Tue, 01 Jan 2030 01:00:00 GMT' }, 'restricted'],
    ['no audit id', { audit_ids: undefined }, 'restricted'],
  ];
  for (const [what, more, reason] of refused)
    it(`refuses ${what}, also where access rules are enforced`, () =>
      expect(reasonOf(carry(more, true))).to.equal(reason));
});
