/** The remote half of a rule: whether it fires, and what it captures. */
import { isAttribute } from './identity.ts';
import type { Requirement, RequirementKind, Rule } from './mapping.ts';
import type { RuleTrace } from './outcome.ts';
import type { Captures } from './template.ts';

export interface Firing {
  readonly trace: RuleTrace;
  /** Null where the rule does not fire. */
  readonly captures: Captures | null;
}

const list = (values: readonly string[]): string => {
  const shown = values.slice(0, 5).join(', ');
  return values.length > 5 ? `${shown} and ${values.length - 5} more` : shown;
};

const complaints: Partial<Readonly<Record<RequirementKind, string>>> = {
  any_one_of: 'is none of',
  not_any_of: 'is one of',
};

/** What the item captures, `true` where it is met and captures nothing, or why it is not met. */
function meet(
  { type, test }: Requirement,
  attributes: ReadonlyMap<string, readonly string[]>,
): readonly string[] | true | { readonly unmet: string } {
  const values = attributes.get(type);
  if (!values) return { unmet: isAttribute(type) ? `${type} is not there` : `${type} is nothing that tokens have` };
  if (!test) return values;
  const { kind, matches } = test;
  if (kind === 'whitelist') return values.filter(matches);
  if (kind === 'blacklist') return values.filter((value) => !matches(value));
  return values.some(matches) === (kind === 'any_one_of')
    ? true
    : { unmet: `${type} (${list(values)}) ${complaints[kind]} ${list(test.values)}` };
}

/** Every item must be met; a filter that leaves nothing is met all the same, as with Keystone. */
export function fire(rule: Rule, attributes: ReadonlyMap<string, readonly string[]>): Firing {
  const trace = { rule: rule.number, effect: rule.deny ? 'deny' : 'allow' } as const;
  const captures: (readonly string[])[] = [];
  for (const requirement of rule.remote) {
    const met = meet(requirement, attributes);
    if (met !== true && 'unmet' in met)
      return { trace: { ...trace, fired: false, why: `${met.unmet}.` }, captures: null };
    if (met !== true) captures.push(met);
  }
  const types = [...new Set(rule.remote.map(({ type }) => type))];
  return { trace: { ...trace, fired: true, why: `All that it asks of ${list(types)} is met.` }, captures };
}
