/** Members of signed JSON payloads, shared by tickets, cards, invitations and rotations. */
import { z } from 'zod';
import { fromBase64url } from '../crypto/bytes.ts';

/** base64url of exactly `size` bytes (or, with `max`, of 1 to `max`), as a Buffer. */
export const bytesField = (size: number, max?: number) =>
  z.string().transform((text, ctx) => {
    try {
      const decoded = fromBase64url(text);
      if (max === undefined ? decoded.length === size : decoded.length >= size && decoded.length <= max) return decoded;
    } catch {
      // Falls through to the one refusal below: how the text is wrong is nobody's business.
    }
    ctx.addIssue({ code: 'custom', message: 'not base64url of the right length' });
    return z.NEVER;
  });

/** UTC epoch milliseconds. */
export const timeField = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Payload object to JSON bytes; buffers become base64url, the order of members is the order of writing. */
export function encodePayload(payload: Record<string, unknown>): Buffer {
  return Buffer.from(
    JSON.stringify(payload, (_key, value: unknown) => {
      // JSON.stringify has already called Buffer's toJSON, so bytes arrive in that form.
      const json = value as { type?: unknown; data?: unknown } | null;
      return json && typeof json === 'object' && json.type === 'Buffer' && Array.isArray(json.data)
        ? Buffer.from(json.data as number[]).toString('base64url')
        : value;
    }),
  );
}

/** JSON of a strict schema, or undefined. */
export function parsePayload<T>(schema: z.ZodType<T>, bytes: Buffer): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
