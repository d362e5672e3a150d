/**
 * Completes package-lock.json after `npm install NAME`: `npm run lock`.
 *
 * Tools with native binaries (biome, oxc) name one optional package a platform. A registry mirror that lacks some of them makes npm
 * leave those out of the lock file, and then `npm ci` refuses the file on every machine. Their versions are exact in the package
 * that names them, and their platform is in their name, so they can be written down without being seen.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isProgram } from './tree.mjs';

const systems = new Set([
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]);
const processors = new Set(['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']);

/** Platform of a package named like `@oxc-parser/binding-linux-arm64-musl`; undefined when the name has none. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const at = words.findIndex((word) => systems.has(word));
  const cpu = words[at + 1];
  if (at < 0 || !processors.has(cpu)) return undefined;
  const flavour = words[at + 2] ?? '';
  const libc = flavour.startsWith('musl') ? ['musl'] : flavour.startsWith('gnu') ? ['glibc'] : undefined;
  return { cpu: [cpu], libc, os: [words[at]] };
}

/** Optional packages that the lock file names and does not list: `[{ name, version, parent }]`. */
export function missingPackages(lock) {
  return Object.entries(lock.packages).flatMap(([parent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${parent}/node_modules/${name}`])
      .map(([name, version]) => ({ name, version, parent })),
  );
}

/** The same lock file with an entry for each of them, sorted as npm sorts. */
export function completeLock(lock) {
  const packages = { ...lock.packages };
  for (const { name, version, parent } of missingPackages(lock)) {
    const platform = platformOf(name);
    if (!platform || !/^\d+\.\d+\.\d+/.test(version))
      throw new Error(`${name}@${version} is neither in package-lock.json nor the package of one platform.`);
    const { cpu, libc, os } = platform;
    const dev = packages[parent].dev ? { dev: true } : {};
    packages[`node_modules/${name}`] = { version, cpu, ...dev, ...(libc ? { libc } : {}), optional: true, os };
  }
  const sorted = Object.keys(packages).sort((a, b) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(sorted.map((path) => [path, packages[path]])) };
}

if (isProgram(import.meta)) {
  const file = new URL('../package-lock.json', import.meta.url);
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, `${JSON.stringify(completeLock(lock), null, 2)}\n`);
  console.log(`package-lock.json: ${missingPackages(lock).length} platform packages added.`);
}
