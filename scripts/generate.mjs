// Makes src/gen from thrift/AllianceService.thrift with Debian's thrift compiler and notes the hash of the IDL.
// `--check` compares instead: the hash always, the code where a compiler is installed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shapesDeclaration, shapesModule, shapesOf } from './shapes.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const idlPath = join(root, 'thrift/AllianceService.thrift');
const genPath = join(root, 'src/gen');
const check = process.argv.includes('--check');

const hash = createHash('sha256').update(readFileSync(idlPath)).digest('hex');
const hashFile = `${hash}  thrift/AllianceService.thrift\n`;

/** The names of a CommonJS module as plain Node finds them (cjs-module-lexer reads this form and nothing else here). */
const exportHint = (names) => `\n0 && (module.exports = { ${names.join(', ')} });\n`;

/** The compiler sets absent members to null although its declarations say undefined: the declarations are made true. */
const absent = /^(\s+this\.\w+) = null;$/gm;

/** Compiles the IDL and returns file name -> text. */
function generate() {
  const work = mkdtempSync(join(tmpdir(), 'alliance-gen-'));
  try {
    execFileSync('thrift', ['--gen', 'js:node,ts,es6', '-o', work, idlPath], { stdio: 'inherit' });
    const files = new Map();
    for (const name of readdirSync(join(work, 'gen-nodejs')))
      files.set(name, readFileSync(join(work, 'gen-nodejs', name), 'utf8').replace(absent, '$1 = undefined;'));
    const types = files.get('AllianceService_types.js');
    const typeNames = [...types.matchAll(/^(?:const \w+ = module\.exports|ttypes)\.(\w+) = /gm)].map((m) => m[1]);
    files.set('AllianceService_types.js', types + exportHint(typeNames));

    // The compiler keeps the argument and result structs of the methods to itself; the dispatch table needs them.
    const service = files.get('AllianceService.js');
    const methods = [...service.matchAll(/^const AllianceService_(\w+)_args = /gm)].map((m) => m[1]);
    const table = methods.map(
      (m) => `  ${m}: { Args: AllianceService_${m}_args, Result: AllianceService_${m}_result },`,
    );
    files.set(
      'AllianceService.js',
      `${service}\nexports.methods = {\n${table.join('\n')}\n};\n${exportHint(['Client', 'Processor', 'methods'])}`,
    );
    const rows = methods.map((m) => `  ${m}: { Args: StructClass; Result: StructClass };`);
    const declaration = `
interface StructClass { new (args?: object): { read(input: object): void; write(output: object): void; [member: string]: unknown } }
export declare const methods: {\n${rows.join('\n')}\n};
`;
    const dts = files
      .get('AllianceService.d.ts')
      .replace(/^declare class (Client|Processor)/gm, 'export declare class $1');
    files.set('AllianceService.d.ts', dts + declaration);
    files.set('AllianceService_shapes.js', shapesModule(shapesOf(readFileSync(idlPath, 'utf8'))));
    files.set('AllianceService_shapes.d.ts', shapesDeclaration);
    files.set('package.json', '{ "type": "commonjs" }\n');
    files.set('idl.sha256', hashFile);
    return files;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function compilerInstalled() {
  try {
    execFileSync('thrift', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

if (check) {
  const noted = existsSync(join(genPath, 'idl.sha256')) ? readFileSync(join(genPath, 'idl.sha256'), 'utf8') : '';
  if (noted !== hashFile) {
    console.error('src/gen is older than thrift/AllianceService.thrift: run `npm run generate`.');
    process.exit(1);
  }
  if (!compilerInstalled()) {
    console.log('IDL hash matches src/gen (no thrift compiler here, so the code itself was not compared).');
    process.exit(0);
  }
  const wrong = [...generate()].filter(([name, text]) => readFileSync(join(genPath, name), 'utf8') !== text);
  if (wrong.length > 0) {
    console.error(
      `src/gen differs from what the compiler makes: ${wrong.map(([name]) => name).join(', ')}. Run \`npm run generate\`.`,
    );
    process.exit(1);
  }
  console.log('src/gen is what the thrift compiler makes of the IDL.');
} else {
  if (!compilerInstalled()) {
    console.error('No thrift compiler: apt-get install thrift-compiler (0.17).');
    process.exit(1);
  }
  rmSync(genPath, { recursive: true, force: true });
  mkdirSync(genPath, { recursive: true });
  for (const [name, text] of generate()) writeFileSync(join(genPath, name), text);
  console.log(`src/gen made from the IDL ${hash.slice(0, 12)}.`);
}
