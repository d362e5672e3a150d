/** The status of one selected image of the master in a region. */
import type { Candidate } from './candidates.ts';
import { compareContent, type Image, linkKeys } from './image.ts';
import { brokenLinks, type MasterImage } from './master.ts';
import { differencesOf, isEqualInCompat } from './metadata.ts';
import { type Difference, type Entry, linkLabel, type Status } from './plan.ts';
import type { Target } from './target.ts';

/** What was decided on the images before. */
export interface Pending {
  /** By name. */
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** Names that will be sent: what there is of that name will be replaced or put aside, and is no candidate any more. */
  readonly pending: Set<string>;
  readonly circular: ReadonlySet<string>;
}

export interface Classified {
  readonly master: MasterImage;
  /** What is there now. */
  readonly region: Image | undefined;
  readonly entry: Entry;
}

type Verdict = Pick<Entry, 'status' | 'reason'> & { readonly differences?: readonly Difference[] };

export function classify(master: MasterImage, state: Pending, target: Target, compat: boolean): Classified {
  const { name, id, sizeBytes } = master;
  const candidate = state.candidates.get(name);
  const { status, reason, differences = [] } = judge(master, candidate, { state, target, compat });
  if (isSent(status)) state.pending.add(name);
  return { master, region: candidate?.image, entry: { status, name, id, sizeBytes, reason, differences } };
}

/** Whether an image of this status is sent. */
export const isSent = (status: Status): boolean =>
  status === 'pending_upload' || status === 'pending_replace' || status === 'pending_rename';

interface Context {
  readonly state: Pending;
  readonly target: Target;
  readonly compat: boolean;
}

function judge(master: MasterImage, candidate: Candidate | undefined, context: Context): Verdict {
  const { state, target, compat } = context;
  if (!compat) {
    if (master.broken.length > 0) return { status: 'error_ami', reason: brokenLinks(master) };
    if (state.circular.has(master.name))
      return { status: 'error_ami', reason: 'Its kernel or ramdisk needs this image itself.' };
  }
  if (!candidate) return { status: 'pending_upload', reason: 'It is not in the region.' };
  const { image, elsewhere } = candidate;
  if (elsewhere) return { status: 'ok', reason: `Its content is in the region as ${image.name} (${image.id}).` };
  if (image.status === 'deactivated')
    return { status: 'error_checksum', reason: `It is deactivated in the region (${image.id}), and stays so.` };
  const sameness = compareContent(master, image, compat);
  if (sameness !== 'same') {
    const difference = { field: 'checksum', master: hashOf(master), region: hashOf(image) };
    return { ...judgeContent(image, target, sameness), differences: [difference] };
  }
  return judgeLinks(master, image, context);
}

const hashOf = ({ hash, checksum }: Image): string | null => checksum ?? hash?.value ?? null;

/** What is configured for the hash of the region's image; a hash that is named comes before `any`, replacing before renaming. */
function judgeContent(image: Image, target: Target, sameness: 'different' | 'unknown'): Verdict {
  if (sameness === 'unknown')
    return {
      status: 'error_checksum',
      reason: 'Whether the content is the same cannot be told: a checksum is missing.',
    };
  const hashes = [image.checksum, image.hash?.value].filter((hash) => hash !== undefined && hash !== null);
  const named = (list: ReadonlySet<string>): boolean => hashes.some((hash) => list.has(hash));
  const differs = (what: string): string => `The content differs; ${what}.`;
  if (named(target.dontUpdate)) return { status: 'ok_stalled_checksum', reason: differs('dontupdate names it') };
  if (named(target.replace)) return { status: 'pending_replace', reason: differs('replace names it') };
  if (named(target.rename)) return { status: 'pending_rename', reason: differs('rename names it') };
  if (target.rename.has('any')) return { status: 'pending_rename', reason: differs('rename has any') };
  if (target.replace.has('any')) return { status: 'pending_replace', reason: differs('replace has any') };
  return { status: 'error_checksum', reason: differs('neither dontupdate nor replace nor rename says what to do') };
}

/** From good to bad; the worst of all links counts. */
const ranks = ['ready', 'update', 'pending', 'missing'] as const;
type Rank = (typeof ranks)[number];

interface LinkState {
  readonly rank: Rank;
  readonly why: string;
  readonly difference: Difference;
}

const statuses: Readonly<Record<Exclude<Rank, 'ready'>, Status>> = {
  update: 'pending_metadata',
  pending: 'pending_ami',
  missing: 'error_ami',
};

const isLinked = (master: MasterImage, { properties }: Image): boolean =>
  master.links.size > 0 || linkKeys.some((key) => properties.has(key));

function judgeLinks(master: MasterImage, image: Image, { state, target, compat }: Context): Verdict {
  const metadata = differencesOf(master, image, target.metadataSet);
  // Few images have any.
  const links = isLinked(master, image) ? linkStates(master, image, state) : [];
  const [first, second = first] = links;
  const worst = first && second && ranks.indexOf(second.rank) > ranks.indexOf(first.rank) ? second : first;
  const broken = links.filter(({ rank }) => rank !== 'ready').map(({ difference }) => difference);
  const differences = broken.length > 0 ? [...broken, ...metadata] : metadata;
  if (worst && worst.rank !== 'ready') return { status: statuses[worst.rank], reason: worst.why, differences };
  const equal = compat ? isEqualInCompat(master, image, target.metadataSet) : metadata.length === 0;
  if (equal) return { status: 'ok', reason: 'It is the same.' };
  return { status: 'pending_metadata', reason: 'Visibility or properties differ.', differences };
}

function linkStates(master: MasterImage, image: Image, state: Pending): LinkState[] {
  return linkKeys.map((key): LinkState => {
    const name = master.links.get(key);
    const value = image.properties.get(key);
    const difference = { field: key, master: name ?? null, region: value ?? null };
    const told = (rank: Rank, why = ''): LinkState => ({ rank, why, difference });
    const label = linkLabel(key);
    if (name === undefined)
      return image.properties.has(key) ? told('update', `It has a ${label} that the master lacks.`) : told('ready');
    if (state.pending.has(name)) return told('pending', `Its ${label} ${name} has to be sent first.`);
    const linked = state.candidates.get(name);
    if (linked) return value === linked.image.id ? told('ready') : told('update', `Its ${label} is another image.`);
    return told('missing', `Its ${label} ${name} is not in the region.`);
  });
}
