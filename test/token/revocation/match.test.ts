/** Held against Keystone's own code in test/openstack/revocations.test.ts; here are the laws. */
import { expect } from 'chai';
import fc from 'fast-check';
import { criteria } from '../../../src/lproxy/keystoneRevocations.ts';
import { matches } from '../../../src/token/revocation/match.ts';
import { anyEvent, anyToken, tokenOf } from '../../support/revocations.ts';

const at = Date.UTC(2030, 0, 1);

describe('a revocation and a token', () => {
  it('each further criterion can only spare tokens', () => {
    fc.assert(
      fc.property(anyEvent, anyToken, fc.constantFrom(...criteria), (event, token, left) => {
        const { [left]: _, ...wider } = event;
        if (matches(event, token)) expect(matches(wider, token)).to.equal(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('what reaches further in time revokes no less', () => {
    fc.assert(
      fc.property(anyEvent, anyToken, fc.nat(10_000), (event, token, ms) => {
        const later = { ...event, issuedBefore: event.issuedBefore + ms };
        if (matches(event, token)) expect(matches(later, token)).to.equal(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('agree in every single member, or not at all', () => {
    const token = tokenOf('a1', at, {
      auditIds: ['a1', 'a0'],
      domainId: 'd3',
      trust: { id: 't1', trustorId: 'u7', trusteeId: 'u8' },
    });
    const times = { revokedAt: at, issuedBefore: at };
    const cases: [name: (typeof criteria)[number], good: (string | number)[], bad: (string | number)[]][] = [
      ['auditId', ['a1'], ['a0', 'a2']],
      ['auditChainId', ['a0'], ['a1', 'a2']],
      ['userId', ['u1', 'u7', 'u8'], ['u2']],
      ['projectId', ['p1'], ['p2']],
      ['domainId', ['d1', 'd3'], ['d4']],
      ['domainScopeId', ['d3'], ['d1']],
      ['roleId', ['r1'], ['r2']],
      ['trustId', ['t1'], ['t2']],
      ['expiresAt', [token.expiresAt, token.expiresAt + 999], [token.expiresAt + 1000, token.expiresAt - 1]],
    ];
    for (const [name, good, bad] of cases) {
      for (const value of good) expect(matches({ ...times, [name]: value }, token), `${name} ${value}`).to.equal(true);
      for (const value of bad) expect(matches({ ...times, [name]: value }, token), `${name} ${value}`).to.equal(false);
    }
    expect(cases.map(([name]) => name)).to.have.members([...criteria]);
  });

  it('a token issued in the same millisecond is revoked, a later one is not, and one without a time always', () => {
    const event = { revokedAt: at, issuedBefore: at, userId: 'u1' };
    expect(matches(event, tokenOf('a', at))).to.equal(true);
    expect(matches(event, tokenOf('a', at + 1))).to.equal(false);
    expect(matches(event, tokenOf('a', at, { issuedAt: null }))).to.equal(true);
  });
});
