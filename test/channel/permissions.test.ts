/** The whole table, spelled out a second time: each cell is a decision, and changing one has to be done twice. */
import { expect } from 'chai';
import type { PartnerRole } from '../../src/channel/pairing.ts';
import { authorise, mayAttach } from '../../src/channel/permissions.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { type MethodName, methodNames } from '../../src/wire/methods.ts';

type State = 'pending' | 'active' | 'suspended' | 'expired' | 'revoked';
const states: readonly State[] = ['pending', 'active', 'suspended', 'expired', 'revoked'];
const roles: readonly PartnerRole[] = ['provider', 'consumer', 'both'];
const directions = ['in', 'out'] as const;

/** What is allowed, as `direction role state`; everything else is not. */
const allowed = new Set<string>();
const allow = (
  methods: readonly MethodName[],
  direction: string,
  who: readonly PartnerRole[],
  when: readonly State[],
) => {
  for (const method of methods)
    for (const role of who) for (const state of when) allowed.add(`${method} ${direction} ${role} ${state}`);
};
const forEveryone: MethodName[] = ['ping', 'getPairing', 'endTrust'];
const betweenActive: MethodName[] = ['getTrustBundle', 'updateIdentity', 'exchangeCheckpoint'];
const services: MethodName[] = [
  'validateTokenHard',
  'validateTokenSoft',
  'authenticate',
  'getServices',
  'getEndpoints',
  'revokeToken',
  'getRevocations',
  'claimToken',
  'provision',
  'deprovision',
  'listImages',
  'getImage',
  'readImageData',
  'createImage',
  'writeImageData',
  'updateImage',
  'deleteImage',
];
/** What those who are asked tell those who ask. */
const notices: readonly MethodName[] = ['popToken', 'pushToken'];
for (const direction of directions) {
  allow(forEveryone, direction, roles, ['pending', 'active']);
  allow(betweenActive, direction, roles, ['active']);
}
allow(services, 'in', ['consumer', 'both'], ['active']);
allow(services, 'out', ['provider', 'both'], ['active']);
allow(notices, 'in', ['provider', 'both'], ['active']);
allow(notices, 'out', ['consumer', 'both'], ['active']);

function verdict(method: MethodName, direction: 'in' | 'out', role: PartnerRole, state: string): string {
  try {
    authorise(method, direction, { cloudId: 'east', role }, state);
    return 'allowed';
  } catch (thrown) {
    if (!(thrown instanceof AllianceError)) throw thrown;
    return thrown.errorName;
  }
}

describe('permissions', () => {
  it('names every method of the contract', () => {
    const bootstrap = ['getSession', 'attach', 'pair'];
    const all = [...forEveryone, ...betweenActive, ...services, ...notices, ...bootstrap];
    expect(all.sort()).to.deep.equal([...methodNames].sort());
  });

  for (const method of methodNames)
    it(`${method}: every direction, role and state`, () => {
      for (const direction of directions)
        for (const role of roles)
          for (const state of states) {
            const cell = `${method} ${direction} ${role} ${state}`;
            expect(verdict(method, direction, role, state) === 'allowed', cell).to.equal(allowed.has(cell));
          }
    });

  it('bootstrap calls never travel over a channel', () => {
    for (const method of ['getSession', 'attach', 'pair'] as const)
      for (const direction of directions)
        for (const role of roles) expect(verdict(method, direction, role, 'active')).to.equal('forbidden');
  });

  it('a wrong role is forbidden, a wrong state is not active', () => {
    expect(verdict('validateTokenHard', 'in', 'provider', 'active')).to.equal('forbidden');
    expect(verdict('validateTokenHard', 'out', 'consumer', 'active')).to.equal('forbidden');
    expect(verdict('validateTokenHard', 'in', 'consumer', 'pending')).to.equal('partner_not_active');
    // Role first: a partner that may never call learns nothing of its state.
    expect(verdict('validateTokenHard', 'in', 'provider', 'suspended')).to.equal('forbidden');
  });

  it('denies by default what it does not know', () => {
    for (const state of ['', 'Active', 'unknown']) {
      expect(verdict('ping', 'in', 'both', state)).to.equal('partner_not_active');
      expect(mayAttach(state)).to.equal(false);
    }
    expect(verdict('ping', 'in', 'friend' as PartnerRole, 'active')).to.equal('forbidden');
    expect(() => authorise('format' as MethodName, 'in', { cloudId: 'east', role: 'both' }, 'active')).to.throw();
  });

  it('only pending and active partners hold channels', () => {
    expect(states.filter(mayAttach)).to.deep.equal(['pending', 'active']);
  });
});
