/**
 * Configuration files of OpenStack's services, as oslo.config reads them: sections, `key = value` or `key: value`, values that go on in
 * indented lines, and keys that come several times. Pure.
 */
import { AllianceError } from './errors.ts';

export interface OsloEntry {
  readonly section: string;
  readonly key: string;
  /** Lines of the value, quotes around it taken away. */
  readonly value: readonly string[];
  /** 1 for the first line of the file. */
  readonly line: number;
}

export interface OsloFile {
  readonly entries: readonly OsloEntry[];
  /** Sections in the order in which they begin first, with the line that they begin at. */
  readonly sections: ReadonlyMap<string, number>;
}

const problem = (line: number, details: string): AllianceError =>
  new AllianceError('bad_request', { field: `line ${line}`, details: `Line ${line}: ${details}` });

function unquoted(value: string): string {
  const quote = value[0];
  return (quote === '"' || quote === "'") && value.at(-1) === quote ? value.slice(1, -1) : value;
}

function splitAssignment(text: string, line: number): { key: string; value: string } {
  const at = text.search(/[=:]/);
  if (at < 0) throw problem(line, 'there is neither = nor : in it.');
  const key = text.slice(0, at).trim();
  if (key === '') throw problem(line, 'the key is missing.');
  return { key, value: unquoted(text.slice(at + 1).trim()) };
}

function sectionName(text: string, line: number): string {
  if (!text.endsWith(']') || text.length <= 2) throw problem(line, 'a section is written [name].');
  return text.slice(1, -1);
}

/** @throws AllianceError bad_request, naming the line and nothing of what stands in it */
export function parseOsloFile(text: string): OsloFile {
  const entries: (OsloEntry & { readonly value: string[] })[] = [];
  const sections = new Map<string, number>();
  let section: string | undefined;
  let open: { readonly value: string[] } | undefined;
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const line = index + 1;
    const content = raw.trimEnd();
    if (content === '') open = undefined;
    else if (/^[ \t]/.test(content)) {
      if (!open) throw problem(line, 'it is indented, and there is no value before it to go on with.');
      open.value.push(content.trimStart());
    } else {
      open = undefined;
      if (content.startsWith('[')) {
        section = sectionName(content, line);
        if (!sections.has(section)) sections.set(section, line);
      } else if (!/^[#;]/.test(content)) {
        const { key, value } = splitAssignment(content, line);
        if (section === undefined) throw problem(line, 'there is no section before it.');
        const entry = { section, key, value: [value], line };
        entries.push(entry);
        open = entry;
      }
    }
  }
  return { entries, sections };
}
