/** `{0}`, `{1}`, ... in the local half of a rule: what the remote half captured. Values stay lists; none is joined or read again. */

/** Literal text, and numbers of captures. */
export type Template = readonly (string | number)[];

/** Why a template is refused; the parser of mappings adds where it stands. */
export class TemplateRefusal extends Error {}

const token = /\{\{|\}\}|\{(0|[1-9]\d{0,3})\}|[^{}]+|[{}]/gs;

/** `captures`: how many the rule has. @throws TemplateRefusal */
export function parseTemplate(text: string, captures: number): Template {
  const parts: (string | number)[] = [];
  for (const [found, digits] of text.matchAll(token)) {
    if (digits !== undefined) {
      if (Number(digits) >= captures)
        throw new TemplateRefusal(
          `${found} names a remote item that captures nothing; only plain, whitelist and blacklist items count, from 0`,
        );
      parts.push(Number(digits));
    } else if (found === '{' || found === '}')
      throw new TemplateRefusal(`only {0}, {1}, ... may stand in braces; write ${found}${found} for a brace`);
    else parts.push(found === '{{' || found === '}}' ? found[0]! : found);
  }
  return parts;
}

const pythonList = /^\[\s*(?:'[^'\\]*'|"[^"\\]*")(?:\s*,\s*(?:'[^'\\]*'|"[^"\\]*"))*\s*,?\s*\]$/;

/** Templates of a text that stands for a list: Keystone reads `['a', 'b']` as two, but only what the rule itself says is read so here. */
export function parseListTemplate(text: string, captures: number): readonly Template[] {
  if (!pythonList.test(text)) return [parseTemplate(text, captures)];
  return [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) =>
    parseTemplate(single ?? double ?? '', captures),
  );
}

export type Captures = readonly (readonly string[])[];

/** The text, or null where a capture in it is not exactly one value. */
export function expandOne(template: Template, captures: Captures): string | null {
  let text = '';
  for (const part of template) {
    const values = typeof part === 'string' ? [part] : captures[part];
    if (values?.length !== 1) return null;
    text += values[0];
  }
  return text;
}

/** As many texts as the capture has values where the template is nothing else; else one, or null as with `expandOne`. */
export function expandMany(template: Template, captures: Captures): readonly string[] | null {
  const [only] = template;
  if (template.length === 1 && typeof only === 'number') return captures[only] ?? [];
  const one = expandOne(template, captures);
  return one === null ? null : [one];
}
