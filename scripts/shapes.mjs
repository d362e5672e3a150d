// Reads from an IDL what the thrift compiler's JavaScript leaves out: which fields are required, their types, the values of enums.

const baseTypes = new Set(['bool', 'byte', 'i8', 'i16', 'i32', 'i64', 'double', 'string', 'binary', 'uuid']);

/** Splits at commas that stand outside angle brackets. */
function splitTypes(text) {
  const parts = [''];
  let depth = 0;
  for (const c of text) {
    if (c === '<') depth++;
    if (c === '>') depth--;
    if (c === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts.map((part) => part.trim());
}

function typeOf(text, enums) {
  const container = /^(list|set|map)<(.*)>$/.exec(text);
  if (container) return [container[1], ...splitTypes(container[2]).map((part) => typeOf(part, enums))];
  if (baseTypes.has(text)) return [text === 'byte' ? 'i8' : text];
  return [text in enums ? 'enum' : 'struct', text];
}

function fieldsOf(body, enums, optionalByDefault) {
  return [...body.matchAll(/(\d+)\s*:\s*(?:(optional|required)\s+)?([\w<>, ]+?)\s+(\w+)\s*(?=[,;}\n]|$)/g)].map(
    ([, id, requiredness, type, name]) => ({
      id: Number(id),
      name,
      required: !(requiredness === 'optional' || (optionalByDefault && requiredness === undefined)),
      type: typeOf(type.trim(), enums),
    }),
  );
}

const resultOf = (type, errors, enums) => [
  ...(type === 'void' ? [] : [{ id: 0, name: 'success', required: false, type: typeOf(type, enums) }]),
  ...fieldsOf(errors, enums, true),
];

/** {enums, structs, methods} of an IDL without typedefs, includes and default values. */
export function shapesOf(idl) {
  const text = idl.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(\/\/|#).*$/gm, '');
  const enums = {};
  for (const [, name, body] of text.matchAll(/^enum (\w+)\s*\{([^}]*)\}/gm))
    enums[name] = [...body.matchAll(/\w+\s*=\s*(\d+)/g)].map((m) => Number(m[1]));
  const structs = {};
  for (const [, kind, name, body] of text.matchAll(/^(struct|exception|union) (\w+)\s*\{([^}]*)\}/gm))
    structs[name] = fieldsOf(body, enums, kind === 'union');
  const methods = {};
  const service = /^service \w+\s*\{([^}]*)\}/m.exec(text)[1];
  // A oneway method is a void one without errors, and has no result.
  for (const [, result, name, body, errors] of service.matchAll(
    /(oneway void|[\w<>, ]+?)\s+(\w+)\(([^)]*)\)(?:\s*throws\s*\(([^)]*)\))?/g,
  ))
    methods[name] = {
      arguments: fieldsOf(body, enums, false),
      result: errors === undefined ? undefined : resultOf(result.trim(), errors, enums),
    };
  return { enums, structs, methods };
}

const row = (field) => JSON.stringify(field).replaceAll('"', "'");
const table = (entries) => entries.map(([name, fields]) => `  ${name}: [${fields.map(row).join(', ')}],`).join('\n');

/** The shapes as a CommonJS module. */
export function shapesModule({ enums, structs, methods }) {
  const methodRows = Object.entries(methods).map(([name, m]) => {
    const result = m.result === undefined ? 'undefined' : `[${m.result.map(row).join(', ')}]`;
    return `  ${name}: { arguments: [${m.arguments.map(row).join(', ')}], result: ${result} },`;
  });
  return `"use strict";
exports.enums = {
${Object.entries(enums)
  .map(([name, values]) => `  ${name}: [${values.join(', ')}],`)
  .join('\n')}
};
exports.structs = {
${table(Object.entries(structs))}
};
exports.methods = {
${methodRows.join('\n')}
};
`;
}

/** Its declaration. */
export const shapesDeclaration = `/** ['i32'], ['list', element], ['map', key, value], ['struct', name], ['enum', name]. */
export type TypeText = readonly [string, ...(string | TypeText)[]];
export interface FieldShape { readonly id: number; readonly name: string; readonly required: boolean; readonly type: TypeText }
/** A oneway method has no result. */
export interface MethodShape { readonly arguments: readonly FieldShape[]; readonly result: readonly FieldShape[] | undefined }
export declare const enums: Readonly<Record<string, readonly number[]>>;
export declare const structs: Readonly<Record<string, readonly FieldShape[]>>;
export declare const methods: Readonly<Record<string, MethodShape>>;
`;
