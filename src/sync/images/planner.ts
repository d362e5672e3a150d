/**
 * The one function that decides what a sync changes in a region; reports, dry runs and syncs ask it. Pure.
 *
 * `compat` decides as GlanceSync 1.7 did, with what was wrong in it; docs/images.md lists the differences.
 */
import { type Candidate, findCandidates } from './candidates.ts';
import { type Classified, classify, isSent, type Pending } from './classify.ts';
import { inOrderOfDependency, type Ordered } from './dependencies.ts';
import { asideName, bySizeAndName, compareText, type Image, type LinkKey } from './image.ts';
import { brokenLinks, type Master, type MasterImage } from './master.ts';
import { propertiesToSend, propertiesToSet, type ResolveLink } from './metadata.ts';
import { planObsolete } from './obsolete.ts';
import { type Entry, linkLabel, type Notice, type RegionPlan, type Update, type Upload } from './plan.ts';
import { isSelected, type Target } from './target.ts';

export interface PlanQuestion {
  readonly master: Master;
  /** All images of the region. */
  readonly listing: readonly Image[];
  readonly target: Target;
  /** Id of the project that images of the region belong to if they are ours. */
  readonly projectId: string;
  readonly compat: boolean;
}

const failed = (failure: string): RegionPlan => ({ entries: [], actions: [], notices: [], failure });

export function planRegion(question: PlanQuestion): RegionPlan {
  const { master, target, compat } = question;
  const wanted = new Map<string, MasterImage>();
  const undecided = new Map<string, string>();
  for (const image of master.images.values()) {
    const selected = isSelected(image, target, master.region);
    if (selected === 'yes') wanted.set(image.name, image);
    else if (selected !== 'no') undecided.set(image.name, selected.failed);
  }
  if (compat) {
    const failure = failureInCompat(master, undecided);
    if (failure !== undefined) return failed(failure);
  }
  return new Planner(question, wanted, undecided).plan();
}

/** One image that cannot be decided on ends the whole region in the original. */
function failureInCompat(master: Master, undecided: ReadonlyMap<string, string>): string | undefined {
  const broken = [...master.images.values()].find((image) => image.broken.length > 0);
  if (broken) return `${broken.name}: ${brokenLinks(broken)}`;
  for (const [name, failure] of undecided) return `${name}: ${failure}`;
  return undefined;
}

const inReport = (a: Entry, b: Entry): number => a.sizeBytes - b.sizeBytes || compareText(a.name, b.name);

function inOrderOfSending(uploads: readonly Classified[]): Classified[] {
  const byName = new Map(uploads.map((each) => [each.entry.name, each]));
  return inOrderOfDependency(uploads.map(({ master }) => master)).images.map(({ name }) => byName.get(name)!);
}

class Planner {
  readonly #question: PlanQuestion;
  readonly #wanted: ReadonlyMap<string, MasterImage>;
  /** Names of images that a condition failed on, and how it did. */
  readonly #undecided: ReadonlyMap<string, string>;
  /** Links that lead nowhere yet. */
  readonly #missing: Notice[] = [];
  /** Names of all images of the region, also those that it will have; made when a name is looked for that is free. */
  #names: Set<string> | undefined;
  /** Names of images that earlier actions of the plan send. */
  readonly #sent = new Set<string>();
  #candidates: ReadonlyMap<string, Candidate> = new Map();

  constructor(
    question: PlanQuestion,
    wanted: ReadonlyMap<string, MasterImage>,
    undecided: ReadonlyMap<string, string>,
  ) {
    this.#question = question;
    this.#wanted = wanted;
    this.#undecided = undecided;
  }

  plan(): RegionPlan {
    const { listing, target, compat, projectId, master } = this.#question;
    const [wanted, undecided] = [this.#wanted, this.#undecided];
    const failures = [...undecided]
      .map(([name, failure]): Notice => ({ kind: 'condition_failed', name, details: `The condition: ${failure}` }))
      .sort((a, b) => compareText(a.name, b.name));
    const common = { wanted, listing, projectId, target, compat };
    const obsolete = planObsolete(master, common, (name) => wanted.has(name) || undecided.has(name));
    const retiring = new Set(obsolete.updates.map(({ id }) => id));
    const staying = retiring.size > 0 ? listing.filter(({ id }) => !retiring.has(id)) : listing;
    const candidates = findCandidates({ ...common, listing: staying });
    this.#candidates = candidates.found;

    const { entries, updates, uploads, relinks, differing } = this.#classifyAll();
    const updated = updates.map((each) => this.#update(each));
    const uploaded = uploads.map((each) => this.#upload(each));
    // Only now all ids are known.
    const relinked = relinks.map((each) => this.#update(each));
    const found = [obsolete.notices, candidates.notices, differing, this.#missing];
    return {
      entries,
      actions: [...obsolete.updates, ...updated, ...uploaded, ...relinked],
      notices: [...master.notices, ...failures, ...found.flat()],
      failure: null,
    };
  }

  /** All that is wanted, told apart by what is done about it. */
  #classifyAll() {
    const { target, compat } = this.#question;
    const { images, circular } = this.#inOrderOfNeeds();
    const state: Pending = { candidates: this.#candidates, pending: new Set(), circular };
    const entries: Entry[] = [];
    const [updates, uploads, relinks, differing]: [Classified[], Classified[], Classified[], Entry[]] = [
      [],
      [],
      [],
      [],
    ];
    for (const image of images) {
      const each = classify(image, state, target, compat);
      const { entry } = each;
      entries.push(entry);
      if (isSent(entry.status)) uploads.push(each);
      else if (entry.status === 'pending_metadata') updates.push(each);
      else if (entry.status === 'pending_ami') relinks.push(each);
      else if (entry.status === 'error_checksum') differing.push(entry);
    }
    const sorted = (some: Classified[]) => some.sort((a, b) => inReport(a.entry, b.entry));
    return {
      entries: entries.sort(inReport),
      updates: sorted(updates),
      uploads: compat ? sorted(uploads) : inOrderOfSending(uploads),
      relinks: sorted(relinks),
      differing: differing.sort(inReport).map(({ name, reason }): Notice => {
        return { kind: 'content_differs', name, details: reason };
      }),
    };
  }

  /** What is decided on before what needs it; the original knows no needs, only sizes. Sorting all would cost more than all the rest. */
  #inOrderOfNeeds(): Ordered {
    const all = [...this.#wanted.values()];
    if (this.#question.compat) return { images: all.sort(bySizeAndName), circular: new Set() };
    const needing = inOrderOfDependency(all.filter(({ links }) => links.size > 0));
    return { images: [...all.filter(({ links }) => links.size === 0), ...needing.images], circular: needing.circular };
  }

  #resolverFor(name: string): ResolveLink {
    return (linked: string, key: LinkKey) => {
      if (this.#sent.has(linked)) return { idOf: linked };
      const id = this.#candidates.get(linked)?.image.id;
      if (id !== undefined) return id;
      const details = `Its ${linkLabel(key)} ${linked} is not in the region.`;
      this.#missing.push({ kind: 'link_missing', name, details });
      return this.#question.compat ? `__${linked}` : undefined;
    };
  }

  #upload({ master, region, entry }: Classified): Upload {
    const { status, reason } = entry;
    const { name } = master;
    const kind = status === 'pending_upload' ? 'upload' : status === 'pending_replace' ? 'replace' : 'rename';
    const properties = propertiesToSend(master, this.#question.target.metadataSet, this.#resolverFor(name));
    this.#sent.add(name);
    const old = region ? { id: region.id, newName: kind === 'rename' ? this.#nameAside(name) : null } : null;
    const { isPublic, sizeBytes } = master;
    return { kind, name, source: master.id, sizeBytes, isPublic, properties, old, reason };
  }

  #update({ master, region, entry }: Classified): Update {
    const { name, isPublic } = master;
    const { id } = region!;
    const { compat, target } = this.#question;
    const resolve = this.#resolverFor(name);
    const properties = propertiesToSet(master, region!, { metadataSet: target.metadataSet, compat, resolve });
    return { kind: 'update', name, id, newName: name, isPublic, properties, reason: entry.reason };
  }

  /** The original takes `.old` even where there is one. */
  #nameAside(name: string): string {
    const { listing, compat } = this.#question;
    this.#names ??= new Set([...listing.map((image) => image.name), ...this.#wanted.keys()]);
    let aside = compat ? `${name}.old` : asideName(name, 'old');
    if (!compat) for (let n = 2; this.#names.has(aside); n++) aside = asideName(name, `old.${n}`);
    this.#names.add(aside);
    return aside;
  }
}
