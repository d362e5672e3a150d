/** Our engine against Keystone's own: what its RuleProcessor made of random mappings, recorded by scripts/mappingOracle.py. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { applyMapping } from '../../../src/token/mapping/apply.ts';
import { parseMapping } from '../../../src/token/mapping/mapping.ts';
import type { MappingAcceptance } from '../../../src/token/mapping/outcome.ts';
import { projectPath } from '../../support/project.ts';

interface KeystoneResult {
  readonly user: { readonly name?: string; readonly id?: string; readonly domain?: object; readonly type: string };
  readonly group_ids: readonly string[];
  readonly group_names: readonly { readonly name: string; readonly domain: object }[];
  readonly projects: readonly { readonly name: string; readonly roles: readonly { readonly name: string }[] }[];
}

interface Case {
  readonly rules: readonly unknown[];
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly result: KeystoneResult | 'error';
}

const cases = JSON.parse(readFileSync(projectPath('test/token/mapping/oracle.json'), 'utf8')) as Case[];

const sorted = (items: readonly object[]): string[] => [...new Set(items.map((item) => JSON.stringify(item)))].sort();

/** Ours in the form of Keystone's. Order and repetition of groups mean nothing there either. */
function shape({ user, groups, projects }: MappingAcceptance) {
  const { type, name, id, email, domain } = user;
  return {
    user: { type, ...(name && { name }), ...(id && { id }), ...(email && { email }), ...(domain && { domain }) },
    group_ids: [...new Set(groups.flatMap((group) => group.id ?? []))].sort(),
    group_names: sorted(
      groups.filter((group) => group.id === null).map(({ name: group, domain: of }) => ({ group, of })),
    ),
    projects: projects.map((project) => ({
      name: project.name,
      roles: project.roles.map((role) => ({ name: role.name })),
    })),
  };
}

const shapeOfKeystone = (result: KeystoneResult) => ({
  user: result.user,
  group_ids: [...new Set(result.group_ids)].sort(),
  group_names: sorted(result.group_names.map(({ name: group, domain: of }) => ({ group, of }))),
  projects: result.projects,
});

const textsOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap((each) => textsOf(each));

/** Keystone writes a list of several values, or of none, as Python does where one name stands: `['a', 'b']`. */
const hasList = (result: KeystoneResult): boolean => textsOf(result).some((text) => /\[(\]|['"])/.test(text));

describe("mapping against Keystone's own engine", () => {
  it('has enough to compare', () => {
    expect(cases.length).to.be.greaterThan(150);
    expect(cases.filter(({ result }) => result !== 'error').length).to.be.greaterThan(100);
  });

  cases.forEach(({ rules, attributes, result }, index) => {
    it(`case ${index + 1}`, () => {
      const subject = {
        user: { id: 'u', name: 'u', domain: { id: null, name: null } },
        project: null,
        roles: [],
        groups: [],
      };
      const identity = { subject, attributes: new Map(Object.entries(attributes)), refused: null };
      const outcome = applyMapping(parseMapping(rules), identity, { privileged: new Set(), allowLocalUsers: true });
      const got = outcome.kind === 'denied' ? outcome.reason : shape(outcome);
      if (result === 'error') expect(got).to.equal('no_rule');
      else if (hasList(result)) expect(got).to.be.oneOf(['not_one_value', 'no_user']);
      else if (result.user.name === undefined && result.user.id === undefined) expect(got).to.equal('no_user');
      else expect(got).to.deep.equal(shapeOfKeystone(result));
    });
  });
});
