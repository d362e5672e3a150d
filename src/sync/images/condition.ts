/**
 * `metadata_condition`: the part of Python's expressions that selections need, over a white list. A condition is compiled once; what
 * it may not contain is told then, with the column, and what fails for one image only when that image is looked at.
 */
import type { AllianceError } from '../../core/errors.ts';
import type { Image, PropertyValue } from './image.ts';
import { itemsOf, literalOf, parseExpression, type Syntax, syntaxError } from './python.ts';

/** A list is an array; a dictionary is only ever the properties of the image. */
type Value = PropertyValue | readonly Value[] | ReadonlySet<Value> | ReadonlyMap<string, PropertyValue>;

interface Scope {
  readonly image: Image;
  readonly region: string;
  readonly metadataSet: ReadonlySet<string>;
}

type Evaluate = (scope: Scope) => Value;

export interface Condition {
  readonly text: string;
  /** @throws AllianceError bad_request where the expression fails for this image, such as a property that it lacks */
  holds(scope: Scope): boolean;
}

/** @throws AllianceError bad_request naming the column */
export function compileCondition(text: string): Condition {
  const evaluate = compile(parseExpression(text));
  return { text, holds: (scope) => truth(evaluate(scope)) };
}

const fields = new Map<string, (scope: Scope) => Value>([
  ['id', ({ image }) => image.id],
  ['name', ({ image }) => image.name],
  ['owner', ({ image }) => image.owner],
  ['size', ({ image }) => image.sizeBytes],
  ['region', ({ region }) => region],
  ['is_public', ({ image }) => image.isPublic],
  ['user_properties', ({ image }) => image.properties],
]);

const isSet = (value: Value): value is ReadonlySet<Value> => value instanceof Set;
const isMap = (value: Value): value is ReadonlyMap<string, PropertyValue> => value instanceof Map;
const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

function truth(value: Value): boolean {
  if (isSet(value) || isMap(value)) return value.size > 0;
  return isList(value) ? value.length > 0 : Boolean(value);
}

/** Elements of what can be gone through. */
function elements(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  if (isSet(value)) return [...value];
  return isMap(value) ? [...value.keys()] : undefined;
}

/** True and False are 1 and 0, as in Python. */
const plain = (value: Value): Value => (typeof value === 'boolean' ? Number(value) : value);

const sameSets = (left: ReadonlySet<Value>, right: ReadonlySet<Value>): boolean =>
  left.size === right.size && [...left].every((each) => right.has(each));

function equal(left: Value, right: Value): boolean {
  if (isSet(left)) return isSet(right) && sameSets(left, right);
  if (isList(left) && isList(right))
    return left.length === right.length && left.every((each, i) => equal(each, right[i]!));
  return plain(left) === plain(right);
}

function compile(node: Syntax): Evaluate {
  const literal = literalOf(node);
  if (literal !== undefined) return () => literal;
  if (isLogic(node)) return compileLogic(flattened(node));
  const build = builders.get(node.kind);
  if (!build) throw syntaxError(node, 'this is not allowed in a condition.');
  return build(node);
}

const builders = new Map<string, (node: Syntax) => Evaluate>([
  ['ParenthesizedExpression', (node) => compile(itemsOf(node)[0] ?? node)],
  ['ArrayExpression', compileList],
  ['BinaryExpression', compileComparison],
  ['MemberExpression', compileMember],
  ['CallExpression', compileCall],
  ['VariableName', compileName],
]);

function compileList(node: Syntax): Evaluate {
  const items = itemsOf(node).map(compile);
  return (scope) => items.map((item) => item(scope));
}

function compileName(node: Syntax): Evaluate {
  if (node.text === 'metadata_set') return ({ metadataSet }) => metadataSet;
  throw syntaxError(node, `there is no such name here; there are "image" and "metadata_set".`);
}

const isLogic = (node: Syntax): boolean =>
  node.kind === 'UnaryExpression'
    ? node.parts[0]?.kind === 'not'
    : node.kind === 'BinaryExpression' && ['and', 'or'].includes(operatorOf(node));

/**
 * Operands and the words between them, as they were written. The parser takes all that follows a `not` for its operand, so that it
 * reads `not a or b` as `not (a or b)`; which word binds what is decided here.
 */
const flattened = (node: Syntax): Syntax[] => (isLogic(node) ? node.parts.flatMap(flattened) : [node]);

/** `or` binds least, then `and`, then `not`. As in Python, what comes out is one of the operands, but for `not`. */
function compileLogic(words: readonly Syntax[]): Evaluate {
  for (const operator of ['or', 'and'] as const) {
    const at = words.findLastIndex(({ kind }) => kind === operator);
    if (at < 0) continue;
    const [first, second] = [compileLogic(words.slice(0, at)), compileLogic(words.slice(at + 1))];
    return (scope) => {
      const value = first(scope);
      return truth(value) === (operator === 'and') ? second(scope) : value;
    };
  }
  const [word, ...rest] = words;
  if (word!.kind !== 'not') return compile(word!);
  const inner = compileLogic(rest);
  return (scope) => !truth(inner(scope));
}

function compileComparison(node: Syntax): Evaluate {
  const [left, right] = [node.parts[0]!, node.parts.at(-1)!];
  // Python knows no `a == not b`.
  for (const side of [left, right]) if (isLogic(side)) throw syntaxError(side, 'this needs parentheses.');
  const compare = comparison(node, operatorOf(node));
  if (left.kind !== 'BinaryExpression') {
    const [first, second] = [compile(left), compile(right)];
    return (scope) => compare(first(scope), second(scope));
  }
  // `1 < a < 3` is `1 < a and a < 3`.
  const [before, middle, last] = [compile(left), compile(left.parts.at(-1)!), compile(right)];
  return (scope) => truth(before(scope)) && compare(middle(scope), last(scope));
}

const operatorOf = (node: Syntax): string =>
  node.parts
    .slice(1, -1)
    .map(({ text }) => text)
    .join(' ');

function comparison(node: Syntax, operator: string): (left: Value, right: Value) => boolean {
  const unfit = (): AllianceError => syntaxError(node, `"${operator}" does not work on these values.`);
  const ordered = (left: Value, right: Value): number => {
    const [a, b] = [plain(left), plain(right)];
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : Number(a > b);
    throw unfit();
  };
  const within = (left: Value, right: Value): boolean => {
    if (typeof left === 'string' && typeof right === 'string') return right.includes(left);
    if (isMap(right)) return typeof left === 'string' && right.has(left);
    const all = elements(right);
    if (!all) throw unfit();
    return all.some((each) => equal(left, each));
  };
  const table: Readonly<Record<string, (left: Value, right: Value) => boolean>> = {
    '==': equal,
    '!=': (left, right) => !equal(left, right),
    '<': (left, right) => ordered(left, right) < 0,
    '<=': (left, right) => ordered(left, right) <= 0,
    '>': (left, right) => ordered(left, right) > 0,
    '>=': (left, right) => ordered(left, right) >= 0,
    in: within,
    'not in': (left, right) => !within(left, right),
  };
  const found = Object.hasOwn(table, operator) ? table[operator] : undefined;
  if (!found) throw syntaxError(node, 'this operator is not allowed in a condition.');
  return found;
}

function compileMember(node: Syntax): Evaluate {
  const [object, mark, member] = node.parts;
  if (mark?.kind === '[') return compileSubscript(node);
  const field = object?.kind === 'VariableName' && object.text === 'image' ? fields.get(member?.text ?? '') : undefined;
  if (field) return field;
  throw syntaxError(member ?? node, `there is no such field; an image has ${[...fields.keys()].join(', ')}.`);
}

function compileSubscript(node: Syntax): Evaluate {
  const [object, , index, close] = node.parts;
  if (!object || !index || close?.kind !== ']') throw syntaxError(node, 'a subscript is written [key].');
  const [from, at] = [compile(object), compile(index)];
  return (scope) => {
    const [holder, key] = [from(scope), at(scope)];
    const found = isMap(holder) ? (typeof key === 'string' ? holder.get(key) : undefined) : undefined;
    if (found === undefined) throw syntaxError(node, 'the image has no such property.');
    return found;
  };
}

function compileCall(node: Syntax): Evaluate {
  const [called, list] = node.parts;
  const items = list ? itemsOf(list) : [];
  if (!called || list?.kind !== 'ArgList' || list.parts.some(({ kind }) => ['*', '**', 'AssignOp'].includes(kind)))
    throw syntaxError(node, 'this call is not allowed in a condition.');
  const args = items.map(compile);
  if (called.kind === 'VariableName' && called.text === 'set' && args.length <= 1)
    return (scope) => setOf(node, args[0]?.(scope) ?? []);
  const [object, , method] = called.parts;
  const name = called.kind === 'MemberExpression' && method?.kind === 'PropertyName' ? method.text : '';
  const [least, most] = methods.get(name) ?? [1, 0];
  if (!object || args.length < least || args.length > most)
    throw syntaxError(
      method ?? called,
      'there is no such function with so many arguments; there are get, keys, intersection and set.',
    );
  const receiver = compile(object);
  return (scope) =>
    call(
      node,
      name,
      receiver(scope),
      args.map((arg) => arg(scope)),
    );
}

/** Fewest and most arguments. */
const methods = new Map<string, readonly [number, number]>([
  ['get', [1, 2]],
  ['keys', [0, 0]],
  ['intersection', [1, 1]],
]);

function setOf(node: Syntax, value: Value): ReadonlySet<Value> {
  const all = typeof value === 'string' ? [...value] : elements(value);
  // Python cannot hash lists either, and they would be unlike themselves in here.
  if (!all || all.some((each) => typeof each === 'object' && each !== null))
    throw syntaxError(node, 'no set can be made of this value.');
  return new Set(all);
}

function call(node: Syntax, name: string, receiver: Value, args: readonly Value[]): Value {
  const [first = null, fallback = null] = args;
  if (name === 'get' && isMap(receiver)) {
    const found = typeof first === 'string' ? receiver.get(first) : undefined;
    return found === undefined ? fallback : found;
  }
  if (name === 'keys' && isMap(receiver)) return [...receiver.keys()];
  if (name !== 'intersection' || !isSet(receiver)) throw syntaxError(node, `"${name}" does not work on this value.`);
  const other = setOf(node, first);
  return new Set([...receiver].filter((each) => other.has(each)));
}
