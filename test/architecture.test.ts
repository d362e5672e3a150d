/** The floors of the house: a folder of src imports only from floors below it, and some packages have one importer. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { expect } from 'chai';
import { projectPath } from './support/project.ts';

const floors = [
  ['core', 'gen'],
  ['crypto', 'wire'],
  ['channel', 'model', 'lproxy'],
  ['client'],
  ['rproxy'],
  ['token', 'sync'],
  ['server', 'http', 'sandbox'],
  ['broker'],
  ['cli', 'index.ts'],
  ['main.ts'],
];

/** What only these folders (or files, by the beginning of their path) may mention. */
const only: readonly [mention: RegExp, ...owners: string[]][] = [
  [/^(node-forge|jose)$/, 'crypto/'],
  [/^(thrift|node-int64|src\/gen\/.*)$/, 'wire/'],
  [/^(better-sqlite3|kysely)$/, 'model/'],
  [/^node:(net|tls|dgram|http|https|http2)$/, 'client/', 'server/', 'http/facade/'],
  [/^undici$/, 'lproxy/'],
  [/^fastify$/, 'http/', 'sandbox/'],
  [/^commander$/, 'cli/', 'main.ts'],
  [/^pino$/, 'core/'],
  [/^@lezer\/python$/, 'sync/images/python.ts'],
  [/^croner$/, 'core/cron.ts'],
  [/^re2js$/, 'core/pattern.ts', 'token/mapping/pattern.ts'],
  [/^process\.env$/, 'core/config', 'main.ts'],
];

const imports =
  /\b(?:import|export)\b([^'";]*?)\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]|\brequire\(\s*['"]([^'"]+)['"]/g;
const environment = /\bprocess\s*(\.|\?\.)\s*env\b|\bprocess\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/;
const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');

/** Types, and functions on addresses as text, open no socket. */
const opensNothing = (clause: string): boolean =>
  /^\s*type\b/.test(clause) || /^\s*\{(\s*(type \w+|isIP|isIPv4|isIPv6|BlockList),?\s*)+\}\s*$/.test(clause);

/** What a source mentions: packages by name, files of ours as `src/...`, and `process.env`. */
function mentionsOf(path: string, source: string): string[] {
  const code = withoutComments(source);
  const targets = [...code.matchAll(imports)].flatMap(([, clause = '', ...names]) => {
    const to = names.find((name) => name !== undefined) ?? '';
    if (to.startsWith('.')) return [posix.join('src', posix.dirname(path), to)];
    return to.startsWith('node:') && opensNothing(clause) ? [] : [to];
  });
  return environment.test(code) ? [...targets, 'process.env'] : targets;
}

const floorOf = (path: string): number => floors.findIndex((names) => names.includes(path.split('/')[0] ?? ''));

function violations(path: string, source: string): string[] {
  const from = path.split('/')[0];
  return mentionsOf(path, source).flatMap((mention) => {
    const [root, to = '', ...rest] = mention.split('/');
    const inside = root === 'src';
    const climbs = inside && to !== from && floorOf([to, ...rest].join('/')) >= floorOf(path);
    const owned = only.find(([pattern]) => pattern.test(mention));
    const foreign = owned !== undefined && !owned.slice(1).some((owner) => path.startsWith(String(owner)));
    return climbs || foreign || (inside && floorOf(to) < 0) ? [`${path} -> ${mention}`] : [];
  });
}

const sources = readdirSync(projectPath('src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(projectPath('src'), join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
  .filter((path) => !path.startsWith('gen/'));

describe('architecture', () => {
  it('every folder of src has its floor', () => {
    expect(sources.filter((path) => floorOf(path) < 0)).to.deep.equal([]);
    expect(sources.length).to.be.greaterThan(20);
  });

  it('no file imports from its own floor or from above, or what another folder owns', () => {
    const found = sources.flatMap((path) => violations(path, readFileSync(projectPath('src', path), 'utf8')));
    expect(found).to.deep.equal([]);
  });

  const refused: readonly [path: string, source: string][] = [
    ['core/x.ts', "import { a } from '../wire/types.ts';"],
    ['wire/x.ts', "import type { A } from '../crypto/identity.ts';"],
    ['model/x.ts', "export * from '../lproxy/keystone.ts';"],
    ['client/x.ts', "const x = await import('../server/listener.ts');"],
    ['server/x.ts', "import '../broker/broker.ts';"],
    ['channel/x.ts', "import type {\n  A,\n} from '../gen/AllianceService_types.js';"],
    ['channel/x.ts', "import forge from 'node-forge';"],
    ['rproxy/x.ts', "import { connect } from 'node:net';"],
    ['rproxy/x.ts', "import { connect, isIP } from 'node:net';"],
    ['core/configFile.ts', "const x = require('better-sqlite3');"],
    ['core/log.ts', 'const level = process.env.LEVEL;'],
    ['cli/x.ts', 'const { env, argv } = process;'],
    ['core/x.ts', "import { a } from '../elsewhere/a.ts';"],
  ];
  for (const [path, source] of refused)
    it(`finds ${JSON.stringify(source)} in ${path}`, () => expect(violations(path, source)).to.have.length(1));

  const allowed: readonly [path: string, source: string][] = [
    ['wire/x.ts', "import { Int64 } from '../gen/AllianceService_types.js';\nimport thrift from 'thrift';"],
    ['wire/x.ts', "import { a } from './reader.ts';\nimport { b } from '../core/limits.ts';"],
    ['server/handlers/x.ts', "import { a } from '../context.ts';\nimport type { B } from '../../client/pool.ts';"],
    ['core/x.ts', "/** See `import '../wire/types.ts'`. */\n// import '../wire/types.ts';\nexport const a = 1;"],
    ['core/configFile.ts', 'export const a = process.env;'],
    ['sandbox/x.ts', "import type { AddressInfo } from 'node:net';"],
    ['crypto/x.ts', "import { isIP, isIPv4 } from 'node:net';"],
  ];
  for (const [path, source] of allowed)
    it(`allows ${JSON.stringify(source)} in ${path}`, () => expect(violations(path, source)).to.deep.equal([]));
});
