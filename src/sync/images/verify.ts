/** Whether content is what it should be. Pure. */
import { AllianceError } from '../../core/errors.ts';
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { ContentProof } from '../../model/transfer.ts';
import { canDigest } from '../transfer/digests.ts';
import { hashText } from './marks.ts';

/** Of a stream that was read to its end. */
export interface Streamed {
  readonly bytes: number;
  /** Lower case hex by algorithm. */
  readonly digests: ReadonlyMap<string, string>;
}

export const proofOf = ({ sizeBytes, checksum, hash }: StoredImage): ContentProof => ({
  sizeBytes: sizeBytes ?? 0,
  checksum,
  hash,
});

/** What is computed of a stream to compare it with its source. */
export function algorithmFor({ hash, checksum }: ContentProof): string {
  if (hash && canDigest(hash.algorithm)) return hash.algorithm;
  return checksum === null ? 'sha512' : 'md5';
}

type Comparable = Pick<ContentProof, 'checksum' | 'hash'>;

/** Whether a stream of it can be told from one of another content of its size. */
export const isComparable = ({ hash, checksum }: Comparable): boolean =>
  checksum !== null || (hash !== null && canDigest(hash.algorithm));

/** The digests that are known of both; none of them: null. */
function sameDigests(digests: ReadonlyMap<string, string>, { checksum, hash }: Comparable): boolean | null {
  const known: [string | undefined, string][] = [];
  if (hash) known.push([digests.get(hash.algorithm), hash.value]);
  if (checksum !== null) known.push([digests.get('md5'), checksum]);
  const comparable = known.filter(([own]) => own !== undefined);
  return comparable.length === 0 ? null : comparable.every(([own, other]) => own === other);
}

const digestsOf = ({ checksum, hash }: Comparable): Map<string, string> =>
  new Map([
    ...(checksum === null ? [] : [['md5', checksum] as const]),
    ...(hash ? [[hash.algorithm, hash.value] as const] : []),
  ]);

const streamText = ({ bytes, digests }: Streamed): string =>
  `${bytes} bytes, ${[...digests].map(([algorithm, value]) => `${algorithm}:${value}`).join(', ')}`;

const storedText = (content: ContentProof): string => `${content.sizeBytes} bytes, ${hashText(content)}`;

/** @throws AllianceError image_mismatch where the stream is not what the source says of itself; what is not known proves nothing */
export function checkStream(source: ContentProof, streamed: Streamed): void {
  if (streamed.bytes === source.sizeBytes && sameDigests(streamed.digests, source) !== false) return;
  throw new AllianceError('image_mismatch', {
    details: `The source says ${storedText(source)}; what was read is ${streamText(streamed)}.`,
  });
}

/**
 * Whether what is stored is what was sent; null where the two have no hash in common.
 *
 * @throws AllianceError image_mismatch, with what is known of source, stream and destination
 */
export function checkStored(source: ContentProof, streamed: Streamed, stored: ContentProof): true | null {
  const same = stored.sizeBytes === streamed.bytes && sameDigests(streamed.digests, stored);
  if (same !== false) return same;
  throw new AllianceError('image_mismatch', {
    details: `The source says ${storedText(source)}; sent were ${streamText(streamed)}; stored are ${storedText(stored)}.`,
  });
}

/** Whether an image certainly has this content. */
export const isProven = (content: ContentProof, image: StoredImage): boolean =>
  image.status === 'active' &&
  image.sizeBytes === content.sizeBytes &&
  sameDigests(digestsOf(content), proofOf(image)) === true;

/** Whether it is still the content that was seen before; what neither side knows is taken for the same. */
export const isSameContent = (before: ContentProof, now: ContentProof): boolean =>
  before.sizeBytes === now.sizeBytes && sameDigests(digestsOf(before), now) !== false;
