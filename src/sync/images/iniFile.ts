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
  const sections = new Map(
    [...own].map(([name, keys]) => [name, interpolated(new Map([...defaults, ...keys]))] as const),
  );
  return { sections, defaults: interpolated(defaults) };
}

interface Sections {
  readonly defaults: Map<string, string>;
  readonly own: Map<string, Map<string, string>>;
}

function readSections(text: string): Sections {
  const defaults = new Map<string, string>();
  const own = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let open: { readonly section: Map<string, string>; readonly key: string } | undefined;
  // A backslash at the end of a line stays in the value in the original, where it spoils all but expressions.
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const content = raw.trimEnd();
    if (content === '' || /^[#;]/.test(content)) continue;
    if (/^\s/.test(content) && open) {
      const before = open.section.get(open.key)!;
      const joint = before.endsWith('\\') ? `${before.slice(0, -1).trimEnd()} ` : `${before}\n`;
      open.section.set(open.key, `${joint}${withoutComment(content.trim())}`);
      continue;
    }
    open = undefined;
    const name = /^\[([^\]]+)\]/.exec(content)?.[1];
    if (name !== undefined) {
      section = name === 'DEFAULT' ? defaults : (own.get(name) ?? new Map<string, string>());
      if (section !== defaults) own.set(name, section);
      continue;
    }
    const found = /^([^:=\s][^:=]*?)\s*[:=]\s*(.*)$/.exec(content);
    if (!found) throw problem(index + 1, 'it is neither a section nor key = value.');
    if (!section) throw problem(index + 1, 'there is no section before it.');
    const [, key = '', value = ''] = found;
    open = { section, key: key.toLowerCase() };
    section.set(open.key, withoutComment(value));
  }
  return { defaults, own };
}

function withoutComment(value: string): string {
  const text = value.replace(/\s;.*$/, '').trim();
  return text === '""' ? '' : text;
}

const interpolated = (section: ReadonlyMap<string, string>): IniSection =>
  new Map([...section].map(([key, value]) => [key, interpolate(value, section, 0)] as const));

/** A `%` that leads to nothing is one; the original ends there. */
function interpolate(value: string, section: ReadonlyMap<string, string>, depth: number): string {
  if (depth > imageLimits.interpolationDepth)
    throw new AllianceError('bad_request', { details: 'Values refer to each other without end.' });
  return value.replace(/%%|%\(([^)]+)\)s/g, (form, name?: string) => {
    const found = name === undefined ? undefined : section.get(name.toLowerCase());
    if (name === undefined) return '%';
    return found === undefined ? form : interpolate(found, section, depth + 1);
  });
}
