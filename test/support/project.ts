/** Where the project is, for tests that read its files: the tests themselves run from test/ and, built, from dist/test/. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder));
}

const projectRoot = findRoot(import.meta.dirname);

/** Whether this is the built suite. */
const isBuiltSuite = import.meta.dirname.startsWith(join(projectRoot, 'dist'));

/**
 * Whether the command line that tests start is the built one: also that of `npm test`, which has just seen to it that it is current. From
 * the sources each start takes three times as long.
 */
export const startsBuiltCommand = isBuiltSuite || process.env.npm_lifecycle_event === 'test';

/** A path inside the project. */
export const projectPath = (...segments: string[]): string => join(projectRoot, ...segments);
