/** What is wrong with a configuration, in an operator's words, all of it at once. */
import type { z } from 'zod';
import { configKeys, configKeysBelow } from './configKeys.ts';
import { AllianceError } from './errors.ts';

export interface ConfigProblem {
  readonly path: readonly string[];
  readonly problem: string;
}

const nouns: Readonly<Record<string, string>> = {
  string: 'text (put it in quotes)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section',
  record: 'a section',
};

function bound(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== 'too_small' && issue.code !== 'too_big') return undefined;
  const words = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  if (issue.origin === 'string') return `must have ${words} character${issue.minimum === 1 ? '' : 's'}`;
  return issue.origin === 'array' ? `must have ${words} entries` : `must be ${words}`;
}

/** Zod's issues in our words; undefined leaves zod's own. No message repeats a value, since that may be a secret. */
export function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is missing';
    const noun = nouns[String(issue.expected)] ?? String(issue.expected);
    return issue.input === null ? `is empty; it must be ${noun}` : `must be ${noun}`;
  }
  if (issue.code === 'invalid_value') return `must be one of ${(issue.values as unknown[]).join(', ')}`;
  return bound(issue);
}

export function problemsOf(error: z.ZodError): ConfigProblem[] {
  const seen = new Set<string>();
  return error.issues.flatMap((issue): ConfigProblem[] => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: [...path, key], problem: `is no configuration key${hint(path, key)}` }));
    // Of one value, only the first complaint: text where a list belongs is also too long a list to zod.
    const name = path.join('.');
    if (seen.has(name)) return [];
    seen.add(name);
    return [{ path, problem: issue.message }];
  });
}

/** Number of single-character edits between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, char] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries())
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (char === other ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** The candidate that a mistyped word was probably meant to be, at most so many edits away. */
export function closest(
  word: string,
  candidates: readonly string[],
  edits = Math.ceil(word.length / 3),
): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, away: distance(word, candidate) }))
    .sort((a, b) => a.away - b.away);
  const best = ranked[0];
  return best !== undefined && best.away <= edits ? best.candidate : undefined;
}

/** A sibling of almost this name, or the key of exactly this name elsewhere. */
function hint(parent: readonly string[], key: string): string {
  const sibling = closest(key.slice(0, 64), configKeysBelow(parent));
  if (sibling !== undefined) return `; did you mean ${[...parent, sibling].join('.')}?`;
  const elsewhere = configKeys.find(({ path }) => path.at(-1) === key);
  return elsewhere === undefined ? '' : `; did you mean ${shownPath(elsewhere.path)}?`;
}

/** A path as people write it. */
export const shownPath = (path: readonly string[]): string =>
  path.join('.').replace('*', path[0] === 'partners' ? '<cloud_id>' : '<name>');

/** One error that lists them all, each as `path: problem (where)`. */
export function configurationError(
  problems: readonly ConfigProblem[],
  where: (path: readonly string[]) => string | undefined,
): AllianceError {
  const lines = problems.map(({ path, problem }) => {
    const place = where(path);
    return `${path.join('.')}: ${problem}${place === undefined ? '' : ` (${place})`}`;
  });
  const first = problems[0]?.path.join('.');
  return new AllianceError('configuration', {
    details: lines.length === 1 ? lines[0]! : `\n  ${lines.join('\n  ')}`,
    ...(first === undefined ? {} : { field: first }),
  });
}
