/** What README and docs/ tell people to type, open or look up exists. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { Command } from 'commander';
import { parse } from 'yaml';
import { Cli } from '../../src/cli/cli.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { loadConfig } from '../../src/core/config.ts';
import { configKeys, isConfigSection } from '../../src/core/configKeys.ts';
import { shownPath } from '../../src/core/configProblems.ts';
import { type ErrorName, errorTable } from '../../src/core/errorTable.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { faultOf, invocationsOf, leavesOf, type Page, readPages, spansOf } from '../support/pages.ts';
import { projectPath } from '../support/project.ts';

const { stdin, stdout, stderr } = process;
const program = await buildProgram(new Cli({ argv: [], env: {}, stdin, stdout, stderr }));
const pages = readPages();
const readme = pages.find(({ path }) => path === 'README.md')!;

/** Everything that is wrong, so that one run shows all of it. */
const faults = (find: (page: Page) => string[]): string[] =>
  pages.flatMap((page) => find(page).map((fault) => `${page.path}: ${fault}`));

/** The anchor that a page's heading gets. */
const anchors = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

describe('documentation', () => {
  it('quotes only commands and options that exist', () => {
    const wrong = faults((page) => invocationsOf(page).flatMap((each) => faultOf(program, each) ?? []));
    expect(wrong).to.deep.equal([]);
    expect(invocationsOf(readme).length).to.be.greaterThan(30);
  });

  it('notices commands, options and arguments that do not exist or are missing', () => {
    const small = new Command('alliance').option('--json', 'x');
    small.command('group').command('leaf').argument('<one>').requiredOption('--with <value>', 'x');
    const text = 'See `alliance group leaf`.\n```sh\neast$ alliance --json group leaf A --with B # why\n```\n';
    const quoted = invocationsOf({ path: 'x', text });
    expect(quoted.map(({ line }) => line)).to.deep.equal(['group leaf', '--json group leaf A --with B']);
    expect(quoted.map((each) => faultOf(small, each))).to.deep.equal([undefined, undefined]);
    for (const line of ['grp', 'group tree', 'group leaf A B', 'group leaf --without', 'group leaf A --with'])
      expect(faultOf(small, { line, whole: false }), line).to.be.a('string');
    for (const line of ['group leaf A', 'group leaf --with B'])
      expect(faultOf(small, { line, whole: true }), line).to.be.a('string');
  });

  it('names every command in the README', () => {
    const quoted = invocationsOf(readme);
    const missing = leavesOf(program).filter((leaf) => !quoted.some(({ line }) => `${line} `.startsWith(`${leaf} `)));
    expect(missing).to.deep.equal([]);
  });

  it('links only to files and headings that exist', () => {
    const wrong = faults(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
        if (/^[a-z]+:/.test(link)) return [];
        const [file, anchor] = link.split('#');
        const target = file ? projectPath(join(dirname(path), file)) : projectPath(path);
        if (!existsSync(target)) return [link];
        return anchor === undefined || anchors(target).includes(anchor) ? [] : [link];
      }),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('names only files and folders that exist', () => {
    const ours = /^(?:bench|docs|etc|scripts|src|test|thrift|\.ci)\/[\w./-]*$/;
    const isPlaceholder = /[A-Z]{4}/;
    const wrong = faults((page) =>
      spansOf(page).filter((span) => ours.test(span) && !isPlaceholder.test(span) && !existsSync(projectPath(span))),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as { scripts: object };
    const wrong = faults(({ text }) =>
      [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(start|test)\b)/g)]
        .map(([, named, usual]) => named ?? usual ?? '')
        .filter((name) => !(name in scripts)),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('names only keys of the configuration that exist', () => {
    const known = configKeys.map(({ path }) => shownPath(path));
    const wrong = faults((page) =>
      spansOf(page).filter(
        (span) => /^[a-z]+\.[a-z_<>.]+$/.test(span) && isConfigSection([span.split('.')[0]!]) && !known.includes(span),
      ),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('gives errors their own numbers', () => {
    const wrong = faults(({ text }) =>
      [...text.matchAll(/\b(\d{3,4}) `([a-z_]+)`/g)]
        .filter(([, code, name]) => errorTable.get(name as ErrorName)?.code !== Number(code))
        .map(([pair]) => pair),
    );
    expect(wrong).to.deep.equal([]);
    expect(pages.some(({ text }) => text.includes('1004 `unreachable`'))).to.equal(true);
  });

  it('shows configuration that loads', () => {
    const blocks = pages.flatMap(({ text }) =>
      [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block]) => block!),
    );
    const ours = blocks.filter((block) => !('clouds' in parse(block)));
    expect(ours).not.to.deep.equal([]);
    for (const block of ours) {
      const home = temporaryDirectory();
      writeFileSync(home.file('keystone.password'), 'secret');
      writeFileSync(home.file('alliance.yaml'), `cloud_id: east\n${block}`);
      expect(() => loadConfig({ home: home.path, env: {} }), block).not.to.throw();
      home.remove();
    }
  });
});
