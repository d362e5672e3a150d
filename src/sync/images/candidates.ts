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
  const told: { readonly id: string; readonly notice: Notice }[] = [];
  const tell = (kind: Notice['kind'], { id, name }: Image, details: string): void =>
    void told.push({ id, notice: { kind, name, details } });
  const unasked: Image[] = [];
  for (const image of question.listing) {
    const master = wanted.get(image.name);
    if (!master) {
      unasked.push(image);
      continue;
    }
    // That very string, so that finding it again compares no characters.
    const { name } = master;
    if (!isOwn(image.owner, projectId)) {
      // With `only_tenant_images` nobody looks at images of others.
      if (target.onlyOwnImages) continue;
      tell('foreign', image, `Image ${image.id} belongs to project ${image.owner}.`);
    }
    // Uploaded once more it would be there in spite of whoever switched it off.
    const isBlocked = !compat && image.status === 'deactivated';
    if (!isActive(image) && !isBlocked) {
      tell('inactive', image, `Image ${image.id} is ${image.status}, and counts as missing.`);
      continue;
    }
    const before = found.get(name)?.image;
    const isBetter = !before || isLiker(master, image, before, compat);
    if (isBetter) found.set(name, { image, elsewhere: false });
    const spare = isBetter ? before : image;
    if (spare) tell('duplicate', spare, `There is also image ${spare.id} of this name.`);
  }
  if (!compat) {
    addElsewhere(found, unasked, question);
    told.sort((a, b) => compareText(a.id, b.id));
  }
  return { found, notices: told.map(({ notice }) => notice) };
}

/** Of two that are equally like it the original takes the first in the order of the listing, which servers are free to choose. */
function isLiker(master: MasterImage, image: Image, before: Image, compat: boolean): boolean {
  const [rank, rankBefore] = [image, before].map((each) => ranks[compareContent(master, each, compat)]);
  return rank! < rankBefore! || (!compat && rank === rankBefore && image.id < before.id);
}

/** What is here under a name that nobody asked for need not be sent again. */
function addElsewhere(
  found: Map<string, Candidate>,
  unasked: readonly Image[],
  { wanted, projectId }: CandidateQuestion,
): void {
  const [publics, others] = [new Map<string, Image>(), new Map<string, Image>()];
  for (const image of unasked) {
    const { hash, name, owner } = image;
    if (hash?.algorithm !== 'sha512' || !isActive(image) || !isOwn(owner, projectId)) continue;
    if (isObsoleteName(name) || /\.old(\.\d+)?$/.test(name)) continue;
    const byHash = image.isPublic ? publics : others;
    const before = byHash.get(hash.value);
    if (!before || image.id < before.id) byHash.set(hash.value, image);
  }
  if (publics.size + others.size === 0) return;
  for (const { name, hash, isPublic } of wanted.values()) {
    if (found.has(name) || hash?.algorithm !== 'sha512') continue;
    const image = (isPublic ? publics : others).get(hash.value);
    if (image) found.set(name, { image, elsewhere: true });
  }
}
