/** The JSON of mappings: Keystone's schemas, stricter where Keystone lets through what it then ignores. */
import { z } from 'zod';
import { mappingLimits } from '../../core/limits.ts';

const text = () => z.string().max(mappingLimits.textCharacters);
const texts = () => z.array(text()).max(mappingLimits.listItems);

const domain = z
  .strictObject({ id: text().optional(), name: text().optional() })
  .refine(({ id, name }) => id !== undefined || name !== undefined, 'A domain has an id or a name.');

const roles = z.array(z.strictObject({ name: text() })).max(mappingLimits.listItems);

const user = z.strictObject({
  id: text().optional(),
  name: text().optional(),
  email: text().optional(),
  domain: domain.optional(),
  type: z.enum(['ephemeral', 'local']).optional(),
});

const group = z.union([z.strictObject({ id: text() }), z.strictObject({ name: text(), domain })], {
  error: 'A group has an id, or a name and a domain.',
});

const project = { name: text(), roles };

const localSchema = <P extends z.ZodType>(projectSchema: P) =>
  z
    .strictObject({
      user: user.optional(),
      group: group.optional(),
      groups: text().optional(),
      group_ids: text().optional(),
      domain: domain.optional(),
      projects: z.array(projectSchema).max(mappingLimits.listItems).optional(),
      roles: roles.optional(),
    })
    .refine(
      ({ groups, domain: of }) => groups === undefined || of !== undefined,
      'groups needs a domain beside it, in which the groups are.',
    );

const tests = ['any_one_of', 'not_any_of', 'whitelist', 'blacklist'] as const;

const remote = z
  .strictObject({
    type: text(),
    any_one_of: texts().optional(),
    not_any_of: texts().optional(),
    whitelist: texts().optional(),
    blacklist: texts().optional(),
    regex: z.boolean().optional(),
  })
  .refine(
    (item) => tests.filter((test) => item[test] !== undefined).length <= 1,
    `An item has at most one of ${tests.join(', ')}.`,
  )
  .refine(
    (item) => item.regex === undefined || tests.some((test) => item[test] !== undefined),
    `regex goes with one of ${tests.join(', ')}.`,
  );

const ruleSchema = <L extends z.ZodType>(local: L) =>
  z
    .strictObject({
      local: z.array(local).max(mappingLimits.listItems).optional(),
      remote: z.array(remote).min(1, 'A rule needs a remote item.').max(mappingLimits.listItems),
      deny: z.boolean().optional(),
      allow_privileged: z.boolean().optional(),
    })
    .refine(
      (rule) => (rule.deny ? rule.local === undefined && !rule.allow_privileged : rule.local !== undefined),
      'A rule has either local, or deny.',
    );

const second = ruleSchema(localSchema(z.strictObject({ ...project, domain: domain.optional() })));

export type RuleSource = z.output<typeof second>;
export type RemoteSource = RuleSource['remote'][number];
export type LocalSource = NonNullable<RuleSource['local']>[number];

/** By version: only the second has domains on projects. */
export const ruleSchemas: Readonly<Record<'1.0' | '2.0', z.ZodType<RuleSource>>> = {
  '1.0': ruleSchema(
    localSchema(
      z.strictObject(project, {
        error: ({ code }) =>
          code === 'unrecognized_keys'
            ? 'A project has a name and roles; its domain needs schema_version 2.0.'
            : undefined,
      }),
    ),
  ),
  '2.0': second,
};

/** Rules are looked at one by one, so that each has its place in complaints. Members that Keystone's API adds are let through. */
export const mappingSchema = z.strictObject({
  rules: z.array(z.unknown()).max(mappingLimits.rules),
  schema_version: z.enum(['1.0', '2.0']).default('1.0'),
  id: z.unknown().optional(),
  links: z.unknown().optional(),
});
