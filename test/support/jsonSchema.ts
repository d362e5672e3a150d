/** The published schemas of `--json` output, for holding output against them. */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { projectPath } from './project.ts';

const folder = projectPath('docs/json');

/** Names of all schemas, which are those of commands with `-` for spaces, and a few that several of them share. */
export const schemaNames: readonly string[] = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, formats: { 'date-time': true } });
for (const name of schemaNames) ajv.addSchema(JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as object);

/** Throws unless `value` is as the schema says; returns it. */
export function checked<T = Record<string, unknown>>(name: string, value: unknown): T {
  if (!ajv.validate(`${name}.json`, value))
    throw new Error(`Not as docs/json/${name}.json: ${ajv.errorsText()}\n${JSON.stringify(value, null, 2)}`);
  return value as T;
}
