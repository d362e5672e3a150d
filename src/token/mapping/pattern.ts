/**
 * Regular expressions of mappings. Keystone reads them as Python does and searches them anywhere in a value; here they run in
 * time linear in the value's length (RE2), so what RE2 cannot do is refused, and so is what the two would read differently.
 */
import { RE2JS } from 're2js';
import { mappingLimits } from '../../core/limits.ts';

export type Matcher = (value: string) => boolean;

/** Why a pattern is refused; the parser of mappings adds where it stands. */
export class PatternRefusal extends Error {}

const refuse = (why: string): never => {
  throw new PatternRefusal(why);
};

/** Python's classes of characters, which know all of Unicode where those of RE2 are ASCII. Members of a set. */
const members = new Map([
  ['d', '\\p{Nd}'],
  ['w', '\\p{L}\\p{N}_'],
  ['s', '\\t-\\r\\x1c-\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}'],
]);

function escapeInSet(letter: string): string {
  const inside = members.get(letter);
  if (inside !== undefined) return inside;
  if (letter === 'D') return '\\P{Nd}';
  if (letter === 'W' || letter === 'S') refuse(`\\${letter} cannot stand within [...]`);
  return `\\${letter}`;
}

function escapeOutside(letter: string): string {
  const inside = members.get(letter.toLowerCase());
  if (inside !== undefined) return members.has(letter) ? `[${inside}]` : `[^${inside}]`;
  return letter === 'Z' ? '\\z' : `\\${letter}`;
}

function translateEscape(letter: string, inSet: boolean): string {
  if (letter === '') refuse('it ends with a lone backslash');
  if (/[1-9]/.test(letter)) refuse(`\\${letter} refers back, which takes more than linear time`);
  if (/[bB]/.test(letter)) refuse(`\\${letter} means another thing to Python; write out what may stand there`);
  if (/[QEC]/.test(letter)) refuse(`\\${letter} is not known to Python`);
  return inSet ? escapeInSet(letter) : escapeOutside(letter);
}

/** A pattern of Python in the words of RE2. */
function translate(pattern: string): string {
  let out = '';
  let setStart = -1;
  for (let i = 0; i < pattern.length; i += 1) {
    const c = pattern[i]!;
    if (c === '\\') {
      i += 1;
      out += translateEscape(pattern[i] ?? '', setStart >= 0);
      continue;
    }
    if (setStart < 0) {
      if (c === '{' && pattern[i + 1] === ',') refuse('{,n} is not known to RE2; write {0,n}');
      if (c === '[') setStart = i + (pattern[i + 1] === '^' ? 2 : 1);
    } else if (c === '[') {
      if (/[:.=]/.test(pattern[i + 1] ?? '')) refuse('[: within [...] means another thing to Python');
      out += '\\';
    } else if (c === ']' && i > setStart) setStart = -1;
    out += c;
  }
  return out;
}

/** A search for the pattern anywhere in a value. @throws PatternRefusal */
export function compilePattern(pattern: string): Matcher {
  if (pattern.length > mappingLimits.patternCharacters)
    refuse(`it is longer than ${mappingLimits.patternCharacters} characters`);
  const translated = translate(pattern);
  try {
    const compiled = RE2JS.compile(translated);
    return (value) => compiled.test(value);
  } catch (thrown) {
    return refuse(`RE2 cannot do it: ${(thrown as Error).message}`);
  }
}
