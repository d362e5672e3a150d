/** Sections of a configuration by paths in which `*` stands for each name of a record. */
import { isSection, type RawSettings } from './configEnvironment.ts';

export interface FoundSection {
  readonly path: readonly string[];
  /** The section itself, not a copy. */
  readonly section: RawSettings;
}

/** Those that are there and are sections. */
export function sectionsAt(settings: unknown, form: readonly string[], path: readonly string[] = []): FoundSection[] {
  if (!isSection(settings)) return [];
  const [step, ...rest] = form;
  if (step === undefined) return [{ path, section: settings }];
  const names = step === '*' ? Object.keys(settings) : Object.hasOwn(settings, step) ? [step] : [];
  return names.flatMap((name) => sectionsAt(settings[name], rest, [...path, name]));
}
