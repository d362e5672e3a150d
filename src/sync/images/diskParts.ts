/** How a disk format is examined while it passes: a check asks for parts of the stream, in their order, and throws where it finds something. */
import { AllianceError } from '../../core/errors.ts';

/** Bytes of the content from `offset` on, or the last ones. */
export type Part = { readonly offset: number; readonly lengthBytes: number } | 'tail';

/** Fewer bytes than were asked for: the content ends before. `sizeBytes`: how much of it there was until then. */
export interface Answer {
  readonly bytes: Buffer;
  readonly sizeBytes: number;
}

export type Check = Generator<Part, void, Answer>;

export const unsafe = (format: string, problem: string): AllianceError =>
  new AllianceError('image_unsafe', { field: 'content', details: `${format}: ${problem}` });

/** Asks for a part that must be there as a whole. */
export function* need(format: string, offset: number, lengthBytes: number): Generator<Part, Buffer, Answer> {
  const { bytes } = yield { offset, lengthBytes };
  if (bytes.length < lengthBytes) throw unsafe(format, 'the content ends before its header does.');
  return bytes;
}

export const textAt = (bytes: Buffer, text: string, offset = 0): boolean =>
  bytes.length >= offset + text.length && bytes.toString('latin1', offset, offset + text.length) === text;

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
