/** `alliance.yaml` as plain settings, with the line of each of them for messages. */
import { isNode } from 'yaml';
import { readRegularFile, whyUnread } from './boundedFile.ts';
import { isSection, type RawSettings } from './configEnvironment.ts';
import { isConfigSection } from './configKeys.ts';
import { errnoOf } from './errno.ts';
import { AllianceError } from './errors.ts';
import { fileLimits } from './limits.ts';
import { readYaml } from './yamlText.ts';

export const configFileName = 'alliance.yaml';

export interface ConfigFile {
  readonly settings: RawSettings;
  /** `line 3`, where the file has that path. */
  lineOf(path: readonly string[]): string | undefined;
}

const refuse = (details: string, cause?: unknown): never => {
  throw new AllianceError('configuration', { details, cause });
};

/** Undefined when there is no such file; the error `configuration` when there is one that cannot be read. */
export function readConfigFile(path: string): ConfigFile | undefined {
  try {
    return parseConfigFile(readRegularFile(path, fileLimits.configBytes).text);
  } catch (error) {
    if (error instanceof AllianceError) throw error;
    if (errnoOf(error) === 'ENOENT') return undefined;
    return refuse(`${configFileName} cannot be read (${whyUnread(error)}).`, error);
  }
}

export function parseConfigFile(source: string): ConfigFile {
  const { document, content, problems, lineAt } = readYaml(source);
  if (problems.length > 0) return refuse(problems.map((problem) => `${configFileName}:${problem}`).join('\n  '));
  const settings = content ?? {};
  if (!isSection(settings)) return refuse(`${configFileName} must hold keys and values, not one value or a list.`);
  return {
    settings: withoutEmptySections(settings, []),
    lineOf(path) {
      const node: unknown = document.hasIn(path) ? document.getIn(path, true) : undefined;
      return isNode(node) && node.range ? `line ${lineAt(node.range[0])}` : undefined;
    },
  };
}

/** A section whose keys are all commented out reads as null; it means the defaults, and is no mistake. */
function withoutEmptySections(settings: RawSettings, path: readonly string[]): RawSettings {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => {
      const here = [...path, key];
      if (value === null && isConfigSection(here)) return [key, {}];
      return [key, isSection(value) ? withoutEmptySections(value, here) : value];
    }),
  );
}
