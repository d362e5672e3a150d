/** Files as Python's ConfigParser reads them: sections, what they inherit from DEFAULT, values over several lines, `%(name)s`. Pure. */
import { AllianceError } from '../../core/errors.ts';
import { imageLimits } from '../../core/limits.ts';

export type IniSection = ReadonlyMap<string, string>;

export interface IniFile {
  /** Without DEFAULT, whose keys are in each of them. */
  readonly sections: ReadonlyMap<string, IniSection>;
  readonly defaults: IniSection;
}

/** A value that comes before that of the file; section null is DEFAULT. */
export interface Override {
  readonly section: string | null;
  readonly key: string;
  readonly value: string;
}

const problem = (line: number, details: string): AllianceError =>
  new AllianceError('bad_request', { field: `line ${line}`, details: `Line ${line}: ${details}` });

/** @throws AllianceError bad_request, naming the line and nothing of what stands in it, which may be a password */
export function parseIniFile(text: string, overrides: readonly Override[] = []): IniFile {
  const { defaults, own } = readSections(text);
  for (const { section, key, value } of overrides) {
    const held = section === null ? defaults : (own.get(section) ?? new Map<string, string>());
    if (section !== null) own.set(section, held);
    held.set(key.toLowerCase(), value);
  }
  if (own.size * defaults.size > imageLimits.inheritedValues)
    throw new AllianceError('bad_request', { details: 'There are too many sections for so many values in DEFAULT.' });
  const budget = { left: imageLimits.interpolations };
  const sections = new Map(
    [...own].map(([name, keys]) => [name, interpolated(new Map([...defaults, ...keys]), budget)] as const),
  );
  return { sections, defaults: interpolated(defaults, budget) };
}

interface Sections {
  readonly defaults: Map<string, string>;
  readonly own: Map<string, Map<string, string>>;
}

function readSections(text: string): Sections {
  const defaults = new Map<string, string>();
  const own = new Map<string, Map<string, string>>();
  /** Lines of a value that goes on; put together at its end, for a value is as long as whoever wrote it likes. */
  let lines: string[] = [];
  let section: Map<string, string> | undefined;
  let open: { readonly section: Map<string, string>; readonly key: string } | undefined;
  const close = (): void => {
    open?.section.set(open.key, joined(lines));
    open = undefined;
  };
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const content = raw.trimEnd();
    if (content === '' || /^[#;]/.test(content)) continue;
    if (/^\s/.test(content) && open) {
      lines.push(withoutComment(content.trim()));
      continue;
    }
    close();
    const name = /^\[([^\]]+)\]/.exec(content)?.[1];
    if (name !== undefined) {
      section = name === 'DEFAULT' ? defaults : (own.get(name) ?? new Map<string, string>());
      if (section !== defaults) own.set(name, section);
      continue;
    }
    const at = content.search(/[:=]/);
    if (at < 1 || /^\s/.test(content)) throw problem(index + 1, 'it is neither a section nor key = value.');
    if (!section) throw problem(index + 1, 'there is no section before it.');
    open = { section, key: content.slice(0, at).trimEnd().toLowerCase() };
    lines = [withoutComment(content.slice(at + 1))];
  }
  close();
  return { defaults, own };
}

/** A backslash at the end of a line stays in the value in the original, where it spoils all but expressions. */
const joined = (lines: readonly string[]): string =>
  lines
    .map((line, i) => {
      if (i === lines.length - 1) return line;
      return line.endsWith('\\') ? `${line.slice(0, -1).trimEnd()} ` : `${line}\n`;
    })
    .join('');

function withoutComment(value: string): string {
  const text = value.replace(/\s;[\s\S]*$/, '').trim();
  return text === '""' ? '' : text;
}

/** What is left of all the references that one file may follow: few that lead to many each would never come to an end. */
interface Budget {
  left: number;
}

const interpolated = (section: ReadonlyMap<string, string>, budget: Budget): IniSection =>
  new Map([...section].map(([key, value]) => [key, interpolate(value, { section, budget }, 0)] as const));

const reference = new RegExp(`%%|%\\(([^)]{1,${imageLimits.optionCharacters}})\\)s`, 'g');

/** A `%` that leads to nothing is one; the original ends there. */
function interpolate(value: string, context: { section: IniSection; budget: Budget }, depth: number): string {
  const { section, budget } = context;
  if (depth > imageLimits.interpolationDepth || budget.left < 0)
    throw new AllianceError('bad_request', { details: 'Values refer to each other without end.' });
  return value.replace(reference, (form, name?: string) => {
    const found = name === undefined ? undefined : section.get(name.toLowerCase());
    if (name === undefined) return '%';
    if (found === undefined) return form;
    budget.left -= 1;
    return interpolate(found, context, depth + 1);
  });
}
