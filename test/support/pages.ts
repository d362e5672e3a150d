/** Pages of documentation, and what they tell people to type. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { projectPath } from './project.ts';

export interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

/** README and its like, everything below docs/, and the files of etc/, whose comments and alerts name commands. */
export function readPages(): Page[] {
  const below = (folder: string, ending: RegExp) =>
    readdirSync(projectPath(folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => ending.test(name))
      .map((name) => join(folder, name));
  const paths = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below('docs', /\.md$/), ...below('etc', /./)];
  return paths.map((path) => ({ path, text: readFileSync(projectPath(path), 'utf8') }));
}

/** Text between single backticks, outside of fenced blocks; what Prometheus fills in is one word. */
export function spansOf({ text }: Page): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/\{\{.*?\}\}/g, 'X');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
}

/** Lines of fenced blocks of a shell, continued lines joined. */
const shellLines = ({ text }: Page): string[] =>
  [...text.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    block.replace(/\\\n\s*/g, ' ').split('\n'),
  );

/** Where a shell expects a command: at the beginning, after a prompt, a separator, sudo, or variables. */
const invocation = /(?:^|[|;&]\s*)(?:\w*\$ )?(?:sudo (?:-u \w+ )?)?(?:[A-Z_]+=\S+ )*alliance (.*)$/;

const groups = /^(partner|session|token|identity|config) \w/;

export interface Invocation {
  /** Arguments, up to what the shell takes. */
  readonly line: string;
  /** Whether it stands there to be typed as it is; prose leaves required arguments and options out. */
  readonly whole: boolean;
}

/** Every `alliance ...` that a page quotes. */
export function invocationsOf(page: Page): Invocation[] {
  const fromSpans = spansOf(page).flatMap((span) => {
    if (span.startsWith('alliance ')) return [span.slice('alliance '.length)];
    return groups.test(span) ? [span] : [];
  });
  const fromBlocks = shellLines(page).flatMap((line) => invocation.exec(line)?.[1] ?? []);
  const cut = (text: string) => text.split(/\s+(?:[|<>;&#]|2>)|;/)[0]!.trim();
  return [
    ...fromSpans.map((text) => ({ line: cut(text), whole: false })),
    ...fromBlocks.map((text) => ({ line: cut(text), whole: true })),
  ];
}

const commandNamed = (parent: Command, word: string | undefined): Command | undefined =>
  parent.commands.find((command) => command.name() === word);

/** What is wrong with the arguments, or undefined. */
export function faultOf(program: Command, { line, whole }: Invocation): string | undefined {
  const words = line.match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  const given = new Set<string>();
  let command = program;
  let positionals = 0;
  while (words.length > 0) {
    const word = words.shift()!;
    if (word.startsWith('-') && word !== '-') {
      const option = [...command.options, ...program.options].find(
        ({ long, short }) => word === long || word === short,
      );
      if (!option) return `${command.name()} has no option ${word}`;
      if (option.required && words.shift() === undefined) return `${word} has no value`;
      given.add(option.attributeName());
      continue;
    }
    const next = positionals === 0 ? commandNamed(command, word) : undefined;
    if (next) {
      command = next;
      continue;
    }
    positionals += 1;
    if (command.commands.length > 0) return `${command.name()} has no command ${word}`;
    const { registeredArguments: known } = command;
    if (positionals > known.length && !known.at(-1)?.variadic) return `${command.name()} takes no ${word}`;
  }
  if (!whole) return undefined;
  if (positionals < command.registeredArguments.filter(({ required }) => required).length)
    return `${line}: an argument is missing`;
  const missing = command.options.find((option) => option.mandatory && !given.has(option.attributeName()));
  return missing && `${line}: ${missing.long} is missing`;
}

/** `partner show`, of every command that is no group. */
export const leavesOf = (command: Command, path: readonly string[] = []): string[] =>
  command.commands.flatMap((each) =>
    each.commands.length > 0 ? leavesOf(each, [...path, each.name()]) : [[...path, each.name()].join(' ')],
  );
