/** Images that the master calls obsolete, by the end of their name: here they get that name, its visibility and some properties. */

import type { CandidateQuestion } from './candidates.ts';
import { compareContent, compareText, type Image, isLinkKey, isObsoleteName, isOwn, obsoleteSuffix } from './image.ts';
import type { Master, MasterImage } from './master.ts';
import type { Notice, Update } from './plan.ts';

interface Obsolete {
  readonly updates: readonly Update[];
  readonly notices: readonly Notice[];
}

/** `taken`: whether an image of this name is wanted here, or may be. */
export function planObsolete(master: Master, question: CandidateQuestion, taken: (name: string) => boolean): Obsolete {
  if (!question.target.supportsObsolete) return { updates: [], notices: [] };
  const notices: Notice[] = [];
  /** By the name without its end. */
  const retired = new Map<string, MasterImage>();
  for (const image of master.images.values()) {
    const { name } = image;
    if (!isObsoleteName(name)) continue;
    const base = name.slice(0, -obsoleteSuffix.length);
    if (taken(base))
      notices.push({ kind: 'obsolete_in_use', name, details: `It is ignored, for ${base} is synchronised.` });
    else retired.set(base, image);
  }
  if (retired.size === 0) return { updates: [], notices };
  const updates: Update[] = [];
  for (const image of question.listing) {
    const master = retired.get(isObsoleteName(image.name) ? image.name.slice(0, -obsoleteSuffix.length) : image.name);
    const update = master && updateOf(image, master, question);
    if (update) updates.push(update);
  }
  return { updates: updates.sort((a, b) => compareText(a.name, b.name) || compareText(a.id, b.id)), notices };
}

function updateOf(
  image: Image,
  master: MasterImage,
  { projectId, target, compat }: CandidateQuestion,
): Update | undefined {
  if (!isOwn(image.owner, projectId) || compareContent(master, image, compat) !== 'same') return undefined;
  const properties = new Map(image.properties);
  for (const key of target.obsoleteProperties) {
    const value = master.properties.get(key);
    if (value !== undefined && !isLinkKey(key)) properties.set(key, value);
  }
  const changes = [...properties].some(([key, value]) => image.properties.get(key) !== value);
  const { isPublic, name: newName } = master;
  if (newName === image.name && isPublic === image.isPublic && !changes) return undefined;
  const reason = `The master calls it ${newName}.`;
  return { kind: 'obsolete', name: newName, id: image.id, newName, isPublic, properties, reason };
}
