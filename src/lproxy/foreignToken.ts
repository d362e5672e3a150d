/** Bodies of another cloud's tokens. Whoever sends them may be hostile, so that they are bounded in every direction before anything is made of them. */
import { z } from 'zod';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { foreignLimits } from '../core/limits.ts';
import { type KeystoneToken, parseBody, parseJson, readToken } from './keystoneBodies.ts';

const items = z.array(z.unknown()).nullish().catch(null);
const lists = z.object({
  token: z.object({
    roles: items,
    methods: items,
    audit_ids: items,
    user: z.object({ 'OS-FEDERATION': z.object({ groups: items }).nullish().catch(null) }),
  }),
});

const isShort = (text: unknown): boolean => typeof text !== 'string' || text.length <= foreignLimits.bodyTextCharacters;

/** Each a text, or something with an id and a name. */
const hasShortTexts = (item: unknown): boolean =>
  typeof item === 'object' && item !== null ? Object.values(item).every(isShort) : isShort(item);

/** How many values a text of JSON can hold at most, and how deep they lie; told from the text, for values take far more memory than it. */
export function jsonShape(text: string): { readonly nodes: number; readonly depth: number } {
  let [nodes, level, depth] = [1, 0, 0];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (quoted) {
      if (character === 0x5c) at += 1;
      else if (character === 0x22) quoted = false;
      continue;
    }
    switch (character) {
      case 0x22: // "
        quoted = true;
        break;
      case 0x2c: // ,
        nodes += 1;
        break;
      case 0x5b: // [
      case 0x7b: // {
        nodes += 1;
        level += 1;
        if (level > depth) depth = level;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        level -= 1;
        break;
    }
  }
  return { nodes, depth };
}

/**
 * What a body says, read as this cloud's own are. A large body, one of many small values and one that lists much are refused.
 * @throws AllianceError wire_malformed
 */
export function parseForeignToken(text: string): KeystoneToken {
  const refused = (details: string, cause?: unknown) =>
    new AllianceError('wire_malformed', { field: 'body', details, cause });
  if (Buffer.byteLength(text) > foreignLimits.bodyBytes)
    throw refused(`A token's body of more than ${foreignLimits.bodyBytes} bytes.`);
  const { nodes, depth } = jsonShape(text);
  if (nodes > foreignLimits.bodyNodes) throw refused(`A token's body of more than ${foreignLimits.bodyNodes} values.`);
  if (depth > foreignLimits.bodyDepth)
    throw refused(`A token's body with more than ${foreignLimits.bodyDepth} values within each other.`);
  try {
    const json = parseJson(text);
    const { roles, methods, audit_ids, user } = parseBody(lists, json).token;
    const listed = [roles, methods, audit_ids, user['OS-FEDERATION']?.groups].flatMap((list) => list ?? []);
    if (listed.length > foreignLimits.bodyItems)
      throw refused(`A token's body that lists more than ${foreignLimits.bodyItems} items.`);
    const facts = readToken(json);
    const { project, trust, domainId } = facts;
    const owners = [facts.user, project].flatMap((each) => (each ? [each, each.domain] : []));
    if (![...listed, ...owners, trust, domainId].every(hasShortTexts))
      throw refused(`A token's body with an id or a name of more than ${foreignLimits.bodyTextCharacters} characters.`);
    return facts;
  } catch (thrown) {
    const error = toAllianceError(thrown);
    throw error.errorName === 'wire_malformed' ? error : refused('The body is not that of a token.', error);
  }
}
