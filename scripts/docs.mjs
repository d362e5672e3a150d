/**
 * Pages of docs/ that are written from the sources: `npm run docs`; with `--check`, says which of them are out of date.
 * Runs through tsx, since it reads src/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationPage } from './docs/configuration.mjs';
import { errorsPage } from './docs/errors.mjs';
import { readIf, root } from './tree.mjs';

/** Path from the project's root -> content. */
const pages = {
  'docs/configuration.md': configurationPage(),
  'docs/errors.md': errorsPage(),
};

const check = process.argv.includes('--check');
const stale = Object.entries(pages).filter(([path, text]) => readIf(join(root, path)) !== text);
for (const [path, text] of stale) {
  if (check) {
    console.error(`${path} is out of date: run \`npm run docs\`.`);
    continue;
  }
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  console.log(`${path} written`);
}
process.exitCode = check && stale.length > 0 ? 1 : 0;
