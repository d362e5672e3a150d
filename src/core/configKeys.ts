/** The keys of the configuration as a flat list, read off the schema. */
import { z } from 'zod';
import { configSchema } from './configSchema.ts';

export interface ConfigKey {
  /** Segments; `*` stands for the cloud_id of a partner. */
  readonly path: readonly string[];
  readonly type: 'string' | 'number' | 'boolean' | 'list';
  readonly description: string;
  /** Undefined where the key has none. */
  readonly default: unknown;
  /** Where only some values are allowed. */
  readonly values: readonly string[] | undefined;
  readonly secret: boolean;
  /** Whether a reload cannot apply it although its section is reloadable. */
  readonly restart: boolean;
}

/** What this file uses of JSON Schema as zod writes it. */
interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly items?: Node;
  readonly secret?: boolean;
  readonly restart?: boolean;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
}

const types: Readonly<Record<string, ConfigKey['type']>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  array: 'list',
};

const childrenOf = (node: Node): [string, Node][] =>
  typeof node.additionalProperties === 'object'
    ? [['*', node.additionalProperties]]
    : Object.entries(node.properties ?? {});

function collect(node: Node, path: readonly string[]): ConfigKey[] {
  if (node.type === 'object') return childrenOf(node).flatMap(([key, child]) => collect(child, [...path, key]));
  return [
    {
      path,
      type: types[node.type ?? ''] ?? 'string',
      description: node.description ?? '',
      default: node.default,
      values: node.enum ?? node.items?.enum,
      secret: node.secret ?? false,
      restart: node.restart ?? false,
    },
  ];
}

/** Every key that holds a value, in the order of the schema. */
export const configKeys: readonly ConfigKey[] = collect(z.toJSONSchema(configSchema, { io: 'input' }) as Node, []);

const matches = (key: ConfigKey, path: readonly string[]): boolean =>
  path.every((segment, index) => key.path[index] === segment || key.path[index] === '*');

/** The key at a path, with the cloud_id of a partner in its place. */
export const findConfigKey = (path: readonly string[]): ConfigKey | undefined =>
  configKeys.find((key) => key.path.length === path.length && matches(key, path));

/** Whether a path leads to keys without being one: `keystone`, `partners.east`. */
export const isConfigSection = (path: readonly string[]): boolean =>
  configKeys.some((key) => key.path.length > path.length && matches(key, path));

/** Keys directly below a path. */
export const configKeysBelow = (path: readonly string[]): string[] => [
  ...new Set(
    configKeys
      .filter((key) => key.path.length > path.length && matches(key, path))
      .map((key) => key.path[path.length]!),
  ),
];
