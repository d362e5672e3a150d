/** Which image of a region stands for which image of the master. */
import { compareContent, compareText, type Image, isActive, isObsoleteName, isOwn, type Sameness } from './image.ts';
import type { MasterImage } from './master.ts';
import type { Notice } from './plan.ts';
import type { Target } from './target.ts';

export interface Candidate {
  readonly image: Image;
  /** It has the master's content under a name of its own, and is left as it is. */
  readonly elsewhere: boolean;
}

export interface CandidateQuestion {
  readonly wanted: ReadonlyMap<string, MasterImage>;
  readonly listing: readonly Image[];
  readonly projectId: string;
  readonly target: Target;
  readonly compat: boolean;
}

export interface Candidates {
  readonly found: ReadonlyMap<string, Candidate>;
  readonly notices: readonly Notice[];
}

/** Of several, the one that is likest: else each run would find another one to replace. */
const ranks: Readonly<Record<Sameness, number>> = { same: 0, unknown: 1, different: 2 };

export function findCandidates(question: CandidateQuestion): Candidates {
  const { wanted, projectId, target, compat } = question;
  const found = new Map<string, Candidate>();
  const notices: Notice[] = [];
  // The original takes the first of several in the order of the listing, which servers are free to choose.
  const listing = compat ? question.listing : [...question.listing].sort((a, b) => compareText(a.id, b.id));
  for (const image of listing) {
    const master = wanted.get(image.name);
    if (!master) continue;
    const { name } = image;
    if (!isOwn(image.owner, projectId)) {
      // With `only_tenant_images` nobody looks at images of others.
      if (target.onlyOwnImages) continue;
      notices.push({ kind: 'foreign', name, details: `Image ${image.id} belongs to project ${image.owner}.` });
    }
    if (!isActive(image)) {
      notices.push({ kind: 'inactive', name, details: `Image ${image.id} is ${image.status}, and counts as missing.` });
      continue;
    }
    const before = found.get(name);
    if (before) notices.push({ kind: 'duplicate', name, details: `There is also image ${image.id} of this name.` });
    const rank = (each: Image): number => ranks[compareContent(master, each, compat)];
    if (!before || rank(image) < rank(before.image)) found.set(name, { image, elsewhere: false });
  }
  if (!compat) addElsewhere(found, listing, question);
  return { found, notices };
}

/** What is here under a name that nobody asked for need not be sent again. */
function addElsewhere(found: Map<string, Candidate>, listing: readonly Image[], question: CandidateQuestion): void {
  const byHash = new Map<string, Image>();
  for (const image of listing) {
    const { hash, name, owner } = image;
    const aside = isObsoleteName(name) || /\.old(\.\d+)?$/.test(name) || question.wanted.has(name);
    if (hash?.algorithm === 'sha512' && isActive(image) && isOwn(owner, question.projectId) && !aside) {
      const key = `${image.isPublic} ${hash.value}`;
      if (!byHash.has(key)) byHash.set(key, image);
    }
  }
  for (const [name, { hash, isPublic }] of question.wanted) {
    const image = hash?.algorithm === 'sha512' ? byHash.get(`${isPublic} ${hash.value}`) : undefined;
    if (image && !found.has(name)) found.set(name, { image, elsewhere: true });
  }
}
