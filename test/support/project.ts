/** Where the project is, for tests that read its files: the tests themselves run from test/ and, built, from dist/test/. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder));
}

const projectRoot = findRoot(import.meta.dirname);

/** Whether this is the built suite, which must start the built command line too. */
export const isBuiltSuite = import.meta.dirname.startsWith(join(projectRoot, 'dist'));

/** A path inside the project. */
export const projectPath = (...segments: string[]): string => join(projectRoot, ...segments);
