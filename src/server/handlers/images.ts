/** What the handlers of images share: arguments, read for their form. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import { type ImageReference, type Int64, toNumber } from '../../wire/types.ts';
import type { ByteShares } from '../byteShares.ts';
import type { PartnerCall } from '../context.ts';
import type { ImageName } from '../images/images.ts';

/** @throws AllianceError bad_request */
export function readReference({ region, id }: ImageReference): ImageName {
  const { idBytes } = partnerImageLimits;
  const bytes = Buffer.byteLength(id);
  if (bytes < 1 || bytes > idBytes)
    throw new AllianceError('bad_request', { field: 'id', details: `id must have 1 to ${idBytes} bytes.` });
  return { region, id };
}

/** A place in a content, or its size. @throws AllianceError bad_request */
export function readSize(value: Int64, field: 'offset' | 'size'): number {
  const size = toNumber(value);
  if (size < 0) throw new AllianceError('bad_request', { field, details: `${field} must not be negative.` });
  return size;
}

/** @throws AllianceError bad_request */
export function readCount(value: number, field: 'limit' | 'length', most: number): number {
  if (value < 1 || value > most)
    throw new AllianceError('bad_request', { field, details: `${field} must be 1 to ${most}.` });
  return value;
}

/** Counts so many bytes among those that we hold for the partner, until the answer has left. @throws AllianceError overloaded */
export function hold(shares: ByteShares, call: PartnerCall, sizeBytes: number): void {
  call.afterAnswer(shares.take(call.partner.uid, sizeBytes));
}
