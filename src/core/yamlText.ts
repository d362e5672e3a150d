/** YAML whose mistakes are told without a word of what it holds: the parser quotes what it read, and that may be a password. */
import { type Alias, type Document, LineCounter, parseDocument, visit } from 'yaml';

export interface YamlText {
  readonly document: Document.Parsed;
  /** Undefined where there are problems. */
  readonly content: unknown;
  /** Each as `3:14: BAD_ALIAS`: line, column and the parser's name for it. */
  readonly problems: readonly string[];
  /** From 1, of an offset in the text. */
  lineAt(offset: number): number;
}

const needsQuotes: ReadonlySet<string> = new Set(['BAD_ALIAS', 'BAD_SCALAR_START', 'UNRESOLVED_ALIAS']);

export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const describe = (offset: number, code: string): string => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}: ${code}${needsQuotes.has(code) ? ' (text that begins like this needs quotes)' : ''}`;
  };
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const problems = document.errors.map(({ pos, code }) => describe(pos[0], code));
  if (problems.length > 0) return { document, content: undefined, problems, lineAt };
  try {
    return { document, content: document.toJS(), problems, lineAt };
  } catch {
    const unresolved = unresolvedAliases(document).map(({ range }) => describe(range?.[0] ?? 0, 'UNRESOLVED_ALIAS'));
    // What else fails here are aliases that grow without end.
    return { document, content: undefined, problems: unresolved[0] ? unresolved : ['1:1: TOO_MANY_ALIASES'], lineAt };
  }
}

function unresolvedAliases(document: Document.Parsed): Alias[] {
  const found: Alias[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      if (!alias.resolve(document)) found.push(alias);
    },
  });
  return found;
}
