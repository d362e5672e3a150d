/** Revocations and the tokens they may be about, arbitrary but likely to meet. */
import fc from 'fast-check';
import type { KeystoneToken } from '../../src/lproxy/keystoneBodies.ts';
import type { RevocationEvent } from '../../src/lproxy/keystoneRevocations.ts';

const instant = fc.integer({ min: 0, max: 20 }).map((n) => Date.UTC(2030, 0, 1) + n * 500);
const id = (...ids: string[]) => fc.constantFrom(...ids);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 2 });

const users = id('u1', 'u2', 'u3');
const projects = id('p1', 'p2');
const domains = id('d1', 'd2', 'd3');
const roles = id('r1', 'r2', 'r3');
const trusts = id('t1', 't2');
const audits = id('a1', 'a2', 'a3', 'a4');

const owner = (ids: fc.Arbitrary<string>) =>
  fc.record({ id: ids, name: fc.constant('name'), domain: fc.record({ id: domains, name: fc.constant('domain') }) });

const scope = fc.oneof(
  owner(projects).map((project) => ({ project, domainId: null })),
  domains.map((domainId) => ({ project: null, domainId })),
  fc.constant({ project: null, domainId: null }),
);

export const anyToken: fc.Arbitrary<KeystoneToken> = fc
  .record({
    expiresAt: instant,
    issuedAt: instant as fc.Arbitrary<number | null>,
    methods: fc.constant(['password']),
    auditIds: fc.uniqueArray(audits, { minLength: 1, maxLength: 2 }),
    user: owner(users),
    scope,
    trust: maybe(fc.record({ id: trusts, trustorId: users, trusteeId: users })),
    system: fc.constant(false),
    roles: fc.uniqueArray(roles).map((ids) => ids.map((each) => ({ id: each, name: each }))),
  })
  .map(({ scope: { project, domainId }, ...rest }) => ({ ...rest, project, domainId }));

/** Mostly one or two criteria, as Keystone makes them. */
export const anyEvent: fc.Arbitrary<RevocationEvent> = fc
  .record({
    times: fc.record({ revokedAt: instant, issuedBefore: instant }),
    wanted: fc.record(
      {
        auditId: audits,
        auditChainId: audits,
        userId: users,
        projectId: projects,
        domainId: domains,
        domainScopeId: domains,
        roleId: roles,
        trustId: trusts,
        expiresAt: instant,
      },
      { requiredKeys: [] },
    ),
    kept: fc.subarray(
      ['auditId', 'auditChainId', 'userId', 'projectId', 'domainId', 'domainScopeId', 'roleId', 'trustId', 'expiresAt'],
      { maxLength: 3 },
    ),
  })
  .map(({ times, wanted, kept }) => ({
    ...times,
    ...Object.fromEntries(Object.entries(wanted).filter(([name]) => kept.includes(name))),
  }));

/** With every member that Keystone may set, each with an id of its own. */
export const fullEvent = (at: number): RevocationEvent => ({
  revokedAt: at,
  issuedBefore: at,
  auditId: 'a',
  auditChainId: 'c',
  userId: 'u',
  projectId: 'p',
  domainId: 'd',
  domainScopeId: 's',
  roleId: 'r',
  trustId: 't',
  expiresAt: at + 1000,
});

export const auditEvent = (auditId: string, at: number): RevocationEvent => ({
  revokedAt: at,
  issuedBefore: at,
  auditId,
});

/** A token of the user `u1` in the project `p1`. */
export const tokenOf = (auditId: string, issuedAt: number, changes: Partial<KeystoneToken> = {}): KeystoneToken => ({
  expiresAt: issuedAt + 3600_000,
  issuedAt,
  methods: ['password'],
  auditIds: [auditId],
  user: { id: 'u1', name: 'one', domain: { id: 'd1', name: 'domain' } },
  project: { id: 'p1', name: 'project', domain: { id: 'd2', name: 'other' } },
  domainId: null,
  trust: null,
  system: false,
  roles: [{ id: 'r1', name: 'member' }],
  ...changes,
});
