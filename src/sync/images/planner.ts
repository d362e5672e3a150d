/**
 * The one function that decides what a sync changes in a region; reports, dry runs and syncs ask it. Pure.
 *
 * `compat` decides as GlanceSync 1.7 did, with what was wrong in it; docs/images.md lists the differences.
 */
import { type Candidate, findCandidates } from './candidates.ts';
import { type Classified, classify, type Pending } from './classify.ts';
import { inOrderOfDependency } from './dependencies.ts';
import { bySizeAndName, compareText, type Image, type LinkKey } from './image.ts';
import { brokenLinks, type Master, type MasterImage } from './master.ts';
import { propertiesToSend, propertiesToSet, type ResolveLink } from './metadata.ts';
import { planObsolete } from './obsolete.ts';
import { type Entry, type IdOf, linkLabel, type Notice, type RegionPlan, type Update, type Upload } from './plan.ts';
import { isSelected, type Selected, type Target } from './target.ts';

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
  const selection = new Map<string, Selected>();
  for (const [name, image] of master.images) selection.set(name, isSelected(image, target, master.region));
  if (compat) {
    const failure = failureInCompat(master, selection);
    if (failure !== undefined) return failed(failure);
  }
  const wanted = new Map<string, MasterImage>();
  for (const [name, image] of master.images) if (selection.get(name) === 'yes') wanted.set(name, image);
  return new Planner(question, wanted, selection).plan();
}

/** One image that cannot be decided on ends the whole region in the original. */
function failureInCompat(master: Master, selection: ReadonlyMap<string, Selected>): string | undefined {
  const broken = [...master.images.values()].find((image) => image.broken.length > 0);
  if (broken) return `${broken.name}: ${brokenLinks(broken)}`;
  for (const [name, selected] of selection) if (typeof selected === 'object') return `${name}: ${selected.failed}`;
  return undefined;
}

class Planner {
  readonly #question: PlanQuestion;
  readonly #wanted: ReadonlyMap<string, MasterImage>;
  readonly #selection: ReadonlyMap<string, Selected>;
  readonly #notices: Notice[] = [];
  /** Names of all images of the region, also those that it will have; made when a name is looked for that is free. */
  #names: Set<string> | undefined;
  /** Ids by name of what links may lead to. */
  readonly #ids = new Map<string, string | IdOf>();

  constructor(
    question: PlanQuestion,
    wanted: ReadonlyMap<string, MasterImage>,
    selection: ReadonlyMap<string, Selected>,
  ) {
    this.#question = question;
    this.#wanted = wanted;
    this.#selection = selection;
  }

  plan(): RegionPlan {
    const { listing, target, compat, projectId, master } = this.#question;
    const wanted = this.#wanted;
    const undecided = [...this.#selection].flatMap(([name, selected]) =>
      typeof selected === 'object' ? [{ name, details: `The condition: ${selected.failed}` }] : [],
    );
    for (const each of undecided.sort((a, b) => compareText(a.name, b.name)))
      this.#notices.push({ kind: 'condition_failed', ...each });
    const common = { wanted, listing, projectId, target, compat };
    const obsolete = planObsolete(master, common, (name) => (this.#selection.get(name) ?? 'no') !== 'no');
    const retiring = new Set(obsolete.updates.map(({ id }) => id));
    const staying = listing.filter(({ id }) => !retiring.has(id));
    const candidates = findCandidates({ ...common, listing: staying });
    this.#notices.push(...obsolete.notices, ...candidates.notices);
    for (const [name, { image }] of candidates.found) this.#ids.set(name, image.id);

    const classified = this.#classifyAll(candidates.found);
    const withStatus = (status: string): Classified[] => classified.filter(({ entry }) => entry.status === status);
    const metadata = withStatus('pending_metadata').map((each) => this.#update(each));
    const uploads = classified.flatMap((each) => this.#upload(each) ?? []);
    // Only now all ids are known.
    const relinked = withStatus('pending_ami').map((each) => this.#update(each));
    return {
      entries: classified.map(({ entry }) => entry).sort(this.#inReport),
      actions: [...obsolete.updates, ...metadata, ...uploads, ...relinked],
      notices: [...master.notices, ...this.#notices],
      failure: null,
    };
  }

  #classifyAll(found: ReadonlyMap<string, Candidate>): Classified[] {
    const { target, compat } = this.#question;
    const ordered = inOrderOfDependency(this.#wanted);
    // The original knows no dependencies.
    const images = compat ? [...this.#wanted.values()].sort(bySizeAndName) : ordered.images;
    const state = {
      candidates: new Map(found),
      pending: new Set<string>(),
      circular: ordered.circular,
    } satisfies Pending;
    const classified = images.map((image) => classify(image, state, target, compat));
    for (const { entry } of classified)
      if (entry.status === 'error_checksum')
        this.#notices.push({ kind: 'content_differs', name: entry.name, details: entry.reason });
    return classified;
  }

  readonly #inReport = (a: Entry, b: Entry): number => a.sizeBytes - b.sizeBytes || compareText(a.name, b.name);

  #resolverFor(name: string): ResolveLink {
    return (linked: string, key: LinkKey) => {
      const id = this.#ids.get(linked);
      if (id !== undefined) return id;
      const details = `Its ${linkLabel(key)} ${linked} is not in the region.`;
      this.#notices.push({ kind: 'link_missing', name, details });
      return this.#question.compat ? `__${linked}` : undefined;
    };
  }

  #upload({ master, region, entry }: Classified): Upload | undefined {
    const { status, reason } = entry;
    if (status !== 'pending_upload' && status !== 'pending_replace' && status !== 'pending_rename') return undefined;
    const { name } = master;
    const kind = status === 'pending_upload' ? 'upload' : status === 'pending_replace' ? 'replace' : 'rename';
    const properties = propertiesToSend(master, this.#question.target.metadataSet, this.#resolverFor(name));
    this.#ids.set(name, { idOf: name });
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
    let aside = `${name}.old`;
    if (!compat) for (let n = 2; this.#names.has(aside); n++) aside = `${name}.old.${n}`;
    this.#names.add(aside);
    return aside;
  }
}
