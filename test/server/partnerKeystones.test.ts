import { expect } from 'chai';
import type { PartnerUid } from '../../src/core/ids.ts';
import { keystoneLimits } from '../../src/core/limits.ts';
import type { Keystone, TokenAnswer } from '../../src/lproxy/keystone.ts';
import type { Partner } from '../../src/model/partner.ts';
import { partnerKeystones } from '../../src/server/partnerKeystones.ts';
import { rejection } from '../support/errors.ts';

const partner = (uid: string) => ({ uid: uid as PartnerUid }) as Partner;

/** A Keystone whose answers come when the test says so. */
function createSlowKeystone() {
  const waiting: ((answer: TokenAnswer) => void)[] = [];
  const keystone = {
    validateToken: () => new Promise<TokenAnswer>((resolve) => waiting.push(resolve)),
  } as unknown as Keystone;
  return { keystone, waiting };
}

describe("a partner's share of Keystone", () => {
  it('is so many requests at a time, each partner for itself, as configuration says now', async () => {
    const { keystone, waiting } = createSlowKeystone();
    let concurrency = 2;
    const shares = partnerKeystones(keystone, () => concurrency);
    const north = shares(partner('north'))!;
    expect(shares(partner('north'))).to.equal(north);
    const asked = [1, 2, 3, 4].map((n) => north.validateToken(`${n}`));
    expect(waiting).to.have.length(2);
    void shares(partner('south'))!.validateToken('5');
    expect(waiting).to.have.length(3);
    concurrency = 3;
    asked.push(north.validateToken('6'));
    expect(waiting).to.have.length(4);
    for (let n = 0; n < 10; n++) {
      for (const answer of waiting.splice(0)) answer({ status: 'invalid', askedAt: 0 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(asked)).to.have.length(5);
  });

  it('covers everything that a partner can have asked, and nothing else', () => {
    const asking = new Set([
      ...['validateToken', 'issueToken', 'revokeToken', 'createProject', 'projectsNamed', 'deleteProject'],
      ...['listServices', 'listEndpoints', 'listRegions', 'listDomains', 'listRoles', 'roleInferences'],
      ...['listProjects', 'findProject', 'listUsers', 'findUser', 'listGroups', 'listAssignments', 'findDomain'],
    ]);
    const names = [...asking, 'login', 'close'];
    const keystone = Object.fromEntries(names.map((name) => [name, () => undefined])) as unknown as Keystone;
    const share = partnerKeystones(keystone, () => 1)(partner('north'))!;
    const limited = names.filter((name) => share[name as keyof Keystone] !== keystone[name as keyof Keystone]);
    expect(limited).to.have.members([...asking]);
  });

  it('is refused when too many wait', async () => {
    const { keystone, waiting } = createSlowKeystone();
    const share = partnerKeystones(keystone, () => 1)(partner('north'))!;
    const asked = Array.from({ length: keystoneLimits.queue / 4 + 1 }, (_, n) => share.validateToken(`${n}`));
    await rejection(share.validateToken('more'), 'overloaded');
    for (let n = 0; n < asked.length; n++) {
      for (const answer of waiting.splice(0)) answer({ status: 'invalid', askedAt: 0 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(asked);
  });

  it('is there only where a Keystone is', () => {
    expect(partnerKeystones(undefined, () => 1)(partner('north'))).to.equal(undefined);
  });
});
