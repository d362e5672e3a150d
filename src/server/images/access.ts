/** What of this cloud's images a partner may see, and where: the operator's words, as pure functions. */
import type { PartnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';

export type ImageRules = PartnerConfig['images'];

/** Whether the whole text is as the pattern says, in which `*` stands for any characters; in time linear in the text for each star. */
export function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

export const matchesAny = (patterns: readonly string[], text: string): boolean =>
  patterns.some((pattern) => matches(pattern, text));

/** What nobody has any use for any more. */
const over: ReadonlySet<string> = new Set(['deleted', 'pending_delete', 'killed']);

/** An image of this broker's own that is still on its way here. */
const isOnItsWay = ({ properties }: StoredImage): boolean => properties.has('alliance_transfer');

const { textBytes } = partnerImageLimits;

/** What may stand in a text that people read at a partner: no control characters, and no more than the contract has room for. */
export const isPlain = (text: string): boolean =>
  Buffer.byteLength(text) <= textBytes && !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text);

/** Whether the partner may see an image that it did not make. One with a name that cannot be told would spoil the whole listing for it. */
export const mayRead = (rules: ImageRules, image: StoredImage): boolean =>
  rules.read &&
  rules.visibility.some((visibility) => visibility === image.visibility) &&
  (rules.projects.length === 0 || rules.projects.includes(image.owner)) &&
  (rules.names.length === 0 || matchesAny(rules.names, image.name)) &&
  isPlain(image.name) &&
  !over.has(image.status) &&
  !isOnItsWay(image);

/** @throws AllianceError not_exported where the partner may do neither */
export function assertUse(rules: ImageRules, use: 'any' | 'write'): void {
  if (use === 'write' ? rules.write : rules.read || rules.write) return;
  throw new AllianceError('not_exported', {
    details: use === 'write' ? 'images.write is off for this partner.' : 'images.read is off for this partner.',
  });
}

/** Those that the partner may name. */
export const regionsOf = ({ regions }: ImageRules, home: string | null): readonly string[] =>
  regions.length > 0 || home === null ? regions : [home];

/**
 * The region that a call is about.
 *
 * @param home the one that the broker stands beside; null where that is not certain
 * @throws AllianceError region_not_found, also for one that is there and not for this partner
 */
export function regionFor(rules: ImageRules, asked: string | undefined, home: string | null): string {
  const region = asked ?? home;
  if (region === null || !regionsOf(rules, home).includes(region))
    throw new AllianceError('region_not_found', { field: 'region' });
  return region;
}
