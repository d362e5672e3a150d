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
const classes = new Map([
  ['d', '\\p{Nd}'],
  ['w', '\\p{L}\\p{N}_'],
  ['s', '\\t-\\r\\x1c-\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}'],
]);

/** One letter for Python where case does not count, U+0130 and U+0131 among them; for RE2 those two have no other case. */
const lettersI = 'iIİı';

const control = new Map([...'aftnrv'].map((letter, index) => [letter, '\x07\f\t\n\r\v'[index]!]));

/** What stands in a set: one character, which may begin or end a range, or the members of a class. */
type Member = { readonly character: string } | { readonly members: string };

/** A pattern of Python in the words of RE2. */
class Translation {
  readonly #pattern: readonly string[];
  #at = 0;
  #out = '';
  /** Whether case is ignored, for the whole and for each group that is open. */
  readonly #ignoring = [false];
  /** Python repeats no `^` or `$`. */
  #afterAnchor = false;

  constructor(pattern: string) {
    this.#pattern = [...pattern];
  }

  run(): string {
    for (let flags = this.#take(/^\(\?([ims]+)\)/); flags; flags = this.#take(/^\(\?([ims]+)\)/)) {
      this.#out += flags[0];
      if (flags[1]!.includes('i')) this.#ignoring[0] = true;
    }
    while (this.#at < this.#pattern.length) this.#item();
    return this.#out;
  }

  get #isIgnoring(): boolean {
    return this.#ignoring.at(-1)!;
  }

  /** What stands here and agrees with the form, which begins with ^. */
  #take(form: RegExp): RegExpExecArray | null {
    const found = form.exec(this.#pattern.slice(this.#at).join(''));
    if (found) this.#at += [...found[0]].length;
    return found;
  }

  #next(): string {
    return this.#pattern[this.#at++] ?? '';
  }

  #item(): void {
    const isAnchored = this.#afterAnchor;
    this.#afterAnchor = false;
    const c = this.#next();
    if (c === '[') this.#set();
    else if (c === '(') this.#group();
    else if (c === '\\') this.#escape();
    else if (c === '{' || c === '*' || c === '+' || c === '?') this.#repeat(c, isAnchored);
    else if (c === ')') {
      if (this.#ignoring.length > 1) this.#ignoring.pop();
      this.#out += c;
    } else if (c === '^' || c === '$') {
      this.#afterAnchor = true;
      this.#out += c;
    } else if (c === '|' || c === '.') this.#out += c;
    else this.#literal(c, c);
  }

  #literal(character: string, written: string): void {
    this.#out += this.#isIgnoring && lettersI.includes(character) ? `[${lettersI}]` : written;
  }

  #repeat(c: string, isAnchored: boolean): void {
    const bounds = c === '{' ? this.#take(/^(\d*)(,?)(\d*)\}/) : null;
    // A brace that is closed otherwise, or around nothing, is itself for both.
    const isRepeat = c !== '{' || (bounds !== null && bounds[0] !== '}');
    if (isRepeat && isAnchored) refuse('Python repeats no anchor');
    if (isRepeat && bounds?.[1] === '') refuse('{,n} is not known to RE2; write {0,n}');
    if (isRepeat && /^0\d|,0\d/.test(bounds?.[0] ?? '')) refuse('RE2 reads {n} with a leading zero as itself');
    this.#out += c + (bounds?.[0] ?? '');
  }

  #group(): void {
    const name = this.#take(/^\?P<[A-Za-z_][A-Za-z0-9_]*>/);
    const flags = name ? null : this.#take(/^\?([ims]*)(?:-([ims]+))?:/);
    if (!name && !flags && this.#pattern[this.#at] === '?') this.#refuseGroup();
    const [on, off] = [flags?.[1] ?? '', flags?.[2] ?? ''];
    if ([...on].some((flag) => off.includes(flag))) refuse('one flag is switched on and off');
    this.#ignoring.push(on.includes('i') || (this.#isIgnoring && !off.includes('i')));
    this.#out += `(${name?.[0] ?? flags?.[0] ?? ''}`;
  }

  #refuseGroup(): never {
    if (this.#take(/^\?[aiLmsux]+\)/)) return refuse('flags for all of it are (?i), (?m) or (?s) at its beginning');
    const begin = this.#pattern.slice(this.#at, this.#at + 3).join('');
    return refuse(`Python and RE2 cannot both do (${begin}`);
  }

  #escape(): void {
    const letter = this.#next();
    const members = classes.get(letter.toLowerCase());
    if (letter === 'A' || letter === 'Z') {
      this.#afterAnchor = true;
      this.#out += letter === 'Z' ? '\\z' : '\\A';
    } else if (members !== undefined) this.#out += classes.has(letter) ? `[${members}]` : `[^${members}]`;
    else {
      const character = this.#escaped(letter);
      this.#literal(character, quoted(character));
    }
  }

  /** The character that an escape stands for, within a set and outside. */
  #escaped(letter: string): string {
    if (letter === '') refuse('it ends with a lone backslash');
    if (/[bB]/.test(letter)) refuse(`\\${letter} means another thing to Python; write out what may stand there`);
    if (/[0-9]/.test(letter))
      refuse(`\\${letter} refers back, which takes more than linear time, or counts in eights; write \\xhh`);
    if (/[uUN]/.test(letter)) refuse(`\\${letter} is not known to RE2; write the character itself`);
    if (letter === 'x') {
      const code = this.#take(/^[0-9a-fA-F]{2}/) ?? refuse('\\x takes two hexadecimal digits');
      return String.fromCharCode(Number.parseInt(code[0], 16));
    }
    const meant = control.get(letter);
    if (meant === undefined && /[A-Za-z]/.test(letter)) refuse(`\\${letter} is not known to Python`);
    return meant ?? letter;
  }

  #set(): void {
    let out = '';
    let holdsI = false;
    const isNegated = this.#take(/^\^/) !== null;
    // A bracket that comes first closes nothing.
    for (let isFirst = true; isFirst || this.#pattern[this.#at] !== ']'; isFirst = false) {
      const low = this.#member();
      if (!this.#take(/^-(?!\])/)) {
        out += 'members' in low ? low.members : quoted(low.character);
        holdsI ||= 'character' in low && lettersI.includes(low.character);
        continue;
      }
      const high = this.#member();
      if ('members' in low || 'members' in high) throw new PatternRefusal('a class is no end of a range; write - last');
      const [from, to] = [low.character.codePointAt(0)!, high.character.codePointAt(0)!];
      if (from > to) refuse(`the range ${low.character}-${high.character} goes back`);
      out += `${quoted(low.character)}-${quoted(high.character)}`;
      holdsI ||= [...lettersI].some((letter) => from <= letter.codePointAt(0)! && letter.codePointAt(0)! <= to);
    }
    this.#at += 1;
    this.#out += `[${isNegated ? '^' : ''}${out}${this.#isIgnoring && holdsI ? lettersI : ''}]`;
  }

  #member(): Member {
    const c = this.#next();
    if (c === '') return refuse('a [ is not closed');
    if (c === '[' && /[:.=]/.test(this.#pattern[this.#at] ?? ''))
      return refuse('[: within [...] means another thing to Python');
    if (c !== '\\') return { character: c };
    const letter = this.#next();
    const members = classes.get(letter);
    if (members !== undefined) return { members };
    if (letter === 'D') return { members: '\\P{Nd}' };
    if (letter === 'W' || letter === 'S') return refuse(`\\${letter} cannot stand within [...]`);
    return { character: this.#escaped(letter) };
  }
}

/** Itself, whatever it is: letters and digits mean other things behind a backslash, and nothing but ASCII does without one. */
const quoted = (character: string): string => (/[!-/:-@[-`{-~]/.test(character) ? `\\${character}` : character);

/** A search for the pattern anywhere in a value. @throws PatternRefusal */
export function compilePattern(pattern: string): Matcher {
  if (pattern.length > mappingLimits.patternCharacters)
    refuse(`it is longer than ${mappingLimits.patternCharacters} characters`);
  const translated = new Translation(pattern).run();
  try {
    const compiled = RE2JS.compile(translated);
    return (value) => compiled.test(value);
  } catch (thrown) {
    return refuse(`RE2 cannot do it: ${(thrown as Error).message}`);
  }
}
