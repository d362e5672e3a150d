/** Python's expressions as a tree, by a parser of its whole grammar, and its literals as values. Nothing is ever run. */
import { createRequire } from 'node:module';
import type { parser } from '@lezer/python';
import { AllianceError } from '../../core/errors.ts';
import { imageLimits } from '../../core/limits.ts';
import type { PropertyValue } from './image.ts';

type Parser = typeof parser;
type Node = ReturnType<Parser['parse']>['topNode'];

const load = createRequire(import.meta.url);
let loaded: Parser | undefined;

/** Its tables are only in the memory of who reads an expression. */
function pythonParser(): Parser {
  loaded ??= (load('@lezer/python') as { readonly parser: Parser }).parser;
  return loaded;
}

/** A node of the tree with the text that it stands for. */
export interface Syntax {
  readonly kind: string;
  readonly text: string;
  /** Of its first character, from 1. */
  readonly column: number;
  /** Without comments. */
  readonly parts: readonly Syntax[];
}

export const syntaxError = (at: Syntax, details: string): AllianceError =>
  new AllianceError('bad_request', { details: `Column ${at.column}: ${details}` });

/** @throws AllianceError bad_request where it is anything but one expression, naming the column */
export function parseExpression(text: string): Syntax {
  if (text.length > imageLimits.expressionCharacters)
    throw new AllianceError('bad_request', { details: 'The expression is too long.' });
  const { topNode } = pythonParser().parse(text);
  refuseMistakes(topNode);
  const script = syntaxOf(topNode, text, 0);
  const [statement, second] = script.parts;
  if (!statement) throw syntaxError(script, 'an expression is missing.');
  if (second) throw syntaxError(second, 'there must be one expression and no more.');
  const [expression, more] = statement.parts;
  if (statement.kind !== 'ExpressionStatement' || !expression) throw syntaxError(statement, 'this is no expression.');
  if (more) throw syntaxError(more, 'there must be one expression and no more.');
  return expression;
}

function refuseMistakes(top: Node): void {
  const cursor = top.cursor();
  do {
    if (cursor.type.isError)
      throw new AllianceError('bad_request', {
        details: `Column ${cursor.from + 1}: something is missing or does not belong here.`,
      });
  } while (cursor.next());
}

function syntaxOf(node: Node, text: string, depth: number): Syntax {
  const here = { kind: node.name, text: text.slice(node.from, node.to), column: node.from + 1, parts: [] };
  if (depth > imageLimits.expressionDepth) throw syntaxError(here, 'it is nested too deeply.');
  const parts: Syntax[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling)
    if (child.name !== 'Comment') parts.push(syntaxOf(child, text, depth + 1));
  return { ...here, parts };
}

/** What stands between brackets, without brackets and commas. */
export const itemsOf = (node: Syntax): Syntax[] => node.parts.filter(({ kind }) => /^\w/.test(kind));

const simpleEscapes = new Map([
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['v', '\v'],
  ['\n', ''],
]);

function stringOf(node: Syntax): string {
  const found = /^[uU]?(?:'([\s\S]*)'|"([\s\S]*)")$/.exec(node.text);
  if (!found || /^[uU]?("""|''')/.test(node.text)) throw syntaxError(node, 'only plain strings are allowed.');
  const form = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g;
  return (found[1] ?? found[2] ?? '').replace(form, (whole, byte?: string, short?: string, long?: string, one = '') => {
    const code = byte ?? short ?? long;
    if (code === undefined) return simpleEscapes.get(one) ?? whole;
    const point = Number.parseInt(code, 16);
    if (point > 0x10ffff) throw syntaxError(node, 'there is no such character.');
    return String.fromCodePoint(point);
  });
}

function integerOf(node: Syntax): number {
  const value = Number(node.text);
  if (!/^\d+$/.test(node.text) || !Number.isSafeInteger(value))
    throw syntaxError(node, 'only whole numbers up to 2^53 are allowed.');
  return value;
}

const constants = new Map<string, PropertyValue>([
  ['True', true],
  ['False', false],
  ['None', null],
]);

/** The value of a string, number or constant; undefined for everything else. */
export function literalOf(node: Syntax): PropertyValue | undefined {
  if (node.kind === 'String') return stringOf(node);
  if (node.kind === 'Number') return integerOf(node);
  const [sign, operand] = node.parts;
  if (node.kind === 'UnaryExpression' && sign?.text === '-' && operand?.kind === 'Number') return -integerOf(operand);
  return constants.get(node.text);
}

/** `{'k': 'v', 'n': 1}` */
export function parseDictionary(text: string): Map<string, PropertyValue> {
  const node = parseExpression(text.trim());
  if (node.kind !== 'DictionaryExpression') throw syntaxError(node, 'a dictionary is written {...}.');
  const entries = new Map<string, PropertyValue>();
  const items = itemsOf(node);
  for (let i = 0; i < items.length; i += 2) {
    const [key, value] = [items[i]!, items[i + 1] ?? items[i]!];
    const name = literalOf(key);
    const content = literalOf(value);
    if (typeof name !== 'string' || content === undefined)
      throw syntaxError(key, 'a dictionary has strings as keys, and strings, numbers or constants as values.');
    entries.set(name, content);
  }
  return entries;
}

/** A text as Python 2's `repr` writes it, so that the original's tools read it. */
function reprOfString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let body = '';
  let wide = false;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const named = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', [quote]: `\\${quote}` }[character];
    if (named !== undefined) body += named;
    else if (code >= 0x20 && code < 0x7f) body += character;
    else {
      wide ||= code >= 0x7f;
      const [letter, digits] = code < 0x100 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8];
      body += `\\${letter}${code.toString(16).padStart(Number(digits), '0')}`;
    }
  }
  return `${wide ? 'u' : ''}${quote}${body}${quote}`;
}

const names = new Map([...constants].map(([name, value]) => [value, name]));
const reprOf = (value: PropertyValue): string =>
  typeof value === 'string' ? reprOfString(value) : (names.get(value) ?? String(value));

export const formatDictionary = (entries: ReadonlyMap<string, PropertyValue>): string =>
  `{${[...entries].map(([key, value]) => `${reprOf(key)}: ${reprOf(value)}`).join(', ')}}`;
