/**
 * A mapping as Keystone's federation has it, schemas 1.0 and 2.0, with three additions: rules that `deny`, `roles` for the project
 * that the user gets, and `allow_privileged`. What it means stands in docs/mapping.md.
 */
import type { z } from 'zod';
import { AllianceError } from '../../core/errors.ts';
import { mappingLimits } from '../../core/limits.ts';
import { compilePattern, type Matcher, PatternRefusal } from './pattern.ts';
import { type LocalSource, mappingSchema, type RemoteSource, type RuleSource, ruleSchemas } from './schema.ts';
import { parseListTemplate, parseTemplate, type Template, TemplateRefusal } from './template.ts';

export type RequirementKind = 'any_one_of' | 'not_any_of' | 'whitelist' | 'blacklist';

/** One remote item. Without a test it only has to be there. */
export interface Requirement {
  readonly type: string;
  readonly test: {
    readonly kind: RequirementKind;
    /** As written, for explanations. */
    readonly values: readonly string[];
    readonly matches: Matcher;
  } | null;
}

export interface DomainTemplate {
  readonly id?: Template;
  readonly name?: Template;
}

export interface LocalItem {
  readonly user?: {
    readonly id?: Template;
    readonly name?: Template;
    readonly email?: Template;
    readonly domain?: DomainTemplate;
    readonly type: 'ephemeral' | 'local';
  };
  readonly group?: { readonly id: Template } | { readonly name: Template; readonly domain: DomainTemplate };
  /** Names of groups in `domain`. */
  readonly groups?: readonly Template[];
  readonly groupIds?: readonly Template[];
  readonly domain?: DomainTemplate;
  readonly projects?: readonly {
    readonly name: Template;
    readonly domain?: DomainTemplate;
    readonly roles: readonly Template[];
  }[];
  readonly roles?: readonly Template[];
}

export interface Rule {
  /** Its place in the mapping, from 1. */
  readonly number: number;
  readonly remote: readonly Requirement[];
  readonly deny: boolean;
  readonly allowPrivileged: boolean;
  readonly local: readonly LocalItem[];
}

export interface Mapping {
  readonly rules: readonly Rule[];
}

type Path = readonly PropertyKey[];

/** `rules[2].local[0].user.name` */
const fieldOf = (path: Path): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  );

function invalid(path: Path, details: string): AllianceError {
  const field = fieldOf(path) || 'rules';
  return new AllianceError('mapping_invalid', { field, details: `${field}: ${details}` });
}

function read<T>(schema: z.ZodType<T>, value: unknown, path: Path): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid([...path, ...(issue?.path ?? [])], issue?.message ?? 'It is no mapping.');
}

/** A list of rules, `{"rules": [...]}` or `{"mapping": {"rules": [...]}}`, the forms that Keystone's API and its client write. */
function unwrap(json: unknown): unknown {
  if (Array.isArray(json)) return { rules: json };
  if (typeof json === 'object' && json !== null && 'mapping' in json) return json.mapping;
  return json;
}

/** @throws AllianceError mapping_invalid, whose field is the path of what is wrong, and nothing else */
export function parseMapping(json: unknown): Mapping {
  const { rules, schema_version: version } = read(mappingSchema, unwrap(json), []);
  return {
    rules: rules.map((rule, index) => parseRule(read(ruleSchemas[version], rule, ['rules', index]), index)),
  };
}

/** The same from text. @throws AllianceError mapping_invalid */
export function readMapping(text: string): Mapping {
  if (Buffer.byteLength(text) > mappingLimits.bytes)
    throw invalid([], `It is larger than ${mappingLimits.bytes} bytes.`);
  try {
    return parseMapping(JSON.parse(text));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw invalid([], 'It is not JSON.');
    throw thrown;
  }
}

function parseRule(source: RuleSource, index: number): Rule {
  const path: Path = ['rules', index];
  const remote = source.remote.map((item, at) => parseRequirement(item, [...path, 'remote', at]));
  // Conditions capture nothing; what is left counts from 0.
  const captures = remote.filter(({ test }) => test === null || /list$/.test(test.kind)).length;
  return {
    number: index + 1,
    remote,
    deny: source.deny ?? false,
    allowPrivileged: source.allow_privileged ?? false,
    local: (source.local ?? []).map((item, at) => parseLocal(item, { captures, path: [...path, 'local', at] })),
  };
}

function parseRequirement(item: RemoteSource, path: Path): Requirement {
  const { type, regex = false, ...tests } = item;
  const [found] = Object.entries(tests).filter(([, values]) => values !== undefined);
  if (!found) return { type, test: null };
  const [kind, values] = found as [RequirementKind, readonly string[]];
  return { type, test: { kind, values, matches: regex ? anyPattern(values, [...path, kind]) : isOneOf(values) } };
}

function isOneOf(values: readonly string[]): Matcher {
  const known = new Set(values);
  return (value) => known.has(value);
}

function anyPattern(patterns: readonly string[], path: Path): Matcher {
  const matchers = patterns.map((pattern, at) => refusing([...path, at], () => compilePattern(pattern)));
  return (value) => matchers.some((matches) => matches(value));
}

function refusing<T>(path: Path, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof PatternRefusal || thrown instanceof TemplateRefusal) throw invalid(path, thrown.message);
    throw thrown;
  }
}

function parseLocal(source: LocalSource, { captures, path }: { captures: number; path: Path }): LocalItem {
  const one = (text: string, ...keys: Path) => refusing([...path, ...keys], () => parseTemplate(text, captures));
  const many = (text: string, key: string) => refusing([...path, key], () => parseListTemplate(text, captures));
  const domain = (from: { id?: string | undefined; name?: string | undefined }, ...keys: Path): DomainTemplate => ({
    ...(from.id !== undefined && { id: one(from.id, ...keys, 'id') }),
    ...(from.name !== undefined && { name: one(from.name, ...keys, 'name') }),
  });
  const { user, group, groups, group_ids: groupIds, projects, roles } = source;
  const names = (list: readonly { name: string }[], ...keys: Path) =>
    list.map(({ name }, at) => one(name, ...keys, at, 'name'));
  return {
    ...(user && {
      user: {
        ...(user.id !== undefined && { id: one(user.id, 'user', 'id') }),
        ...(user.name !== undefined && { name: one(user.name, 'user', 'name') }),
        ...(user.email !== undefined && { email: one(user.email, 'user', 'email') }),
        ...(user.domain && { domain: domain(user.domain, 'user', 'domain') }),
        type: user.type ?? 'ephemeral',
      },
    }),
    ...(group && {
      group:
        'id' in group
          ? { id: one(group.id, 'group', 'id') }
          : { name: one(group.name, 'group', 'name'), domain: domain(group.domain, 'group', 'domain') },
    }),
    ...(groups !== undefined && { groups: many(groups, 'groups') }),
    ...(groupIds !== undefined && { groupIds: many(groupIds, 'group_ids') }),
    ...(source.domain && { domain: domain(source.domain, 'domain') }),
    ...(projects && {
      projects: projects.map((project, at) => ({
        name: one(project.name, 'projects', at, 'name'),
        ...(project.domain && { domain: domain(project.domain, 'projects', at, 'domain') }),
        roles: names(project.roles, 'projects', at, 'roles'),
      })),
    }),
    ...(roles && { roles: names(roles, 'roles') }),
  };
}
