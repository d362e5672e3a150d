/** What one or several files of oslo.config say together: of a key that comes several times the last one counts. Pure. */
import type { OsloFile } from './osloFile.ts';

export interface OsloSetting {
  readonly section: string;
  readonly key: string;
  /** With `$name` and `${group.name}` replaced. */
  readonly value: string;
  /** Index of the file, and line in it. */
  readonly file: number;
  readonly line: number;
}

/** Replacements within replacements, and in all for one value; more are left as they are. */
const [deepest, most] = [8, 100];

export class OsloSettings {
  readonly #last = new Map<string, OsloSetting>();

  constructor(files: readonly OsloFile[]) {
    for (const [file, { entries }] of files.entries())
      for (const { section, key, value, line } of entries) {
        const text = value.length > 1 && value[0] === '' ? value.slice(1).join('\n') : value.join('\n');
        this.#last.set(nameOf(section, key), { section, key, value: text, file, line });
      }
  }

  /** By any of these names, the first that is set. */
  find(section: string, ...keys: readonly string[]): OsloSetting | undefined {
    const found = keys.map((key) => this.#last.get(nameOf(section, key))).find((each) => each !== undefined);
    return found && { ...found, value: this.#replaced(found.value, section, deepest, { left: most }) };
  }

  #replaced(text: string, section: string, depth: number, budget: { left: number }): string {
    if (depth === 0) return text;
    return text.replace(/\$\$|\$\{([\w.]+)\}|\$(\w+)/g, (whole, braced?: string, bare?: string) => {
      if (whole === '$$') return '$';
      const [name, group] = (braced ?? bare ?? '').split('.').reverse() as [string, string | undefined];
      const found = this.#last.get(nameOf(group ?? section, name)) ?? this.#last.get(nameOf('DEFAULT', name));
      if (found === undefined || budget.left-- <= 0) return whole;
      return this.#replaced(found.value, found.section, depth - 1, budget);
    });
  }
}

/** Names of sections are the same in every case; those of keys are not, but for the hyphens of command lines. */
const nameOf = (section: string, key: string): string => `${section.toLowerCase()}\0${key.replaceAll('-', '_')}`;
