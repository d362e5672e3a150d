/** The version of this package, from the sources and from dist. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export function packageVersion(folder: string = import.meta.dirname): string {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return packageVersion(dirname(folder));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}
