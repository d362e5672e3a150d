/**
 * Buffers for large messages, used again: a new one costs as much as sealing what is put into it, because the system gives its pages one
 * by one, and collecting what nobody needs costs the same again.
 *
 * Whoever takes one may return it, once, when nobody reads or writes it any more; one that is not returned is collected like any other.
 */
import { wireLimits } from './limits.ts';

const { pooledFromBytes, pooledStepBytes, pooledBytes } = wireLimits;

/** Those that nobody uses, by their size. */
const free = new Map<number, Buffer[]>();
let freeBytes = 0;
/** Those that are in use; what is in neither is none of ours. */
const lent = new WeakMap<ArrayBufferLike, Buffer>();

/** So many bytes, with whatever is in them. */
export function takeBuffer(sizeBytes: number): Buffer {
  if (sizeBytes < pooledFromBytes) return Buffer.allocUnsafeSlow(sizeBytes);
  // In steps, so that messages of nearly one size share their buffers.
  const wholeBytes = Math.ceil(sizeBytes / pooledStepBytes) * pooledStepBytes;
  const known = free.get(wholeBytes)?.pop();
  if (known) freeBytes -= wholeBytes;
  const whole = known ?? Buffer.allocUnsafeSlow(wholeBytes);
  lent.set(whole.buffer, whole);
  return whole.subarray(0, sizeBytes);
}

/** Takes back the buffer that these bytes are in, if it came from `takeBuffer`; anything else is left alone. */
export function returnBuffer({ buffer }: Buffer): void {
  const whole = lent.get(buffer);
  if (!whole) return;
  lent.delete(buffer);
  if (freeBytes + whole.length > pooledBytes) return;
  freeBytes += whole.length;
  const alike = free.get(whole.length);
  if (alike) alike.push(whole);
  else free.set(whole.length, [whole]);
}
