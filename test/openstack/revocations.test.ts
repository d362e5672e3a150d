/** Which tokens a revocation ends, by our reading and by Keystone's own code. */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import type { KeystoneToken } from '../../src/lproxy/keystoneBodies.ts';
import type { RevocationEvent } from '../../src/lproxy/keystoneRevocations.ts';
import { matches } from '../../src/token/revocation/match.ts';
import { projectPath } from '../support/project.ts';
import { anyEvent, anyToken } from '../support/revocations.ts';

interface Case {
  readonly event: RevocationEvent;
  readonly token: KeystoneToken;
}

const program = projectPath('test', 'openstack', 'revocations.py');

function askKeystone(cases: readonly Case[]): boolean[] {
  const answer = execFileSync('/usr/bin/python3', ['-B', '-W', 'ignore', program], {
    input: JSON.stringify(cases),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return JSON.parse(String(answer)) as boolean[];
}

/** Keystone stores one domain: with an expiry it is that of the scope, without one that of whatever there is. */
const isStorable = ({ domainId, domainScopeId, expiresAt }: RevocationEvent): boolean =>
  expiresAt === undefined ? domainScopeId === undefined : domainId === undefined;

/** Where ours is the wider reading on purpose: the domain of a project, and the first audit id where there is no other. */
const isWider = ({ event, token }: Case): boolean =>
  ((event.domainId !== undefined || event.domainScopeId !== undefined) && token.project !== null) ||
  (event.auditChainId !== undefined && token.auditIds.length === 1);

describe("revocations by Keystone's own code", () => {
  const cases = fc.sample(fc.record({ event: anyEvent.filter(isStorable), token: anyToken }), 3000) as Case[];
  let keystone: boolean[];

  before(() => {
    keystone = askKeystone(cases);
  });

  it('there is enough to compare', () => {
    expect(keystone.filter((revoked) => revoked).length).to.be.greaterThan(200);
    expect(keystone.filter((revoked) => !revoked).length).to.be.greaterThan(200);
  });

  it('what ends a token there ends it here', () => {
    const missed = cases.filter(({ event, token }, index) => keystone[index] && !matches(event, token));
    expect(missed.slice(0, 3)).to.deep.equal([]);
  });

  it('nothing else does, but what some releases read more widely', () => {
    const extra = cases.filter((one, index) => !keystone[index] && !isWider(one) && matches(one.event, one.token));
    expect(extra.slice(0, 3)).to.deep.equal([]);
  });
});
