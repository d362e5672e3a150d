/** Members of signed JSON payloads, shared by tickets, cards, invitations and rotations. */
import { z } from 'zod';
import { formatEndpoint, parseEndpoint } from '../core/endpoint.ts';
import { pairingLimits } from '../core/limits.ts';
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

/** Endpoints in their one spelling; `min` to 8 of them. */
export const endpointsField = (min: number) =>
  z
    .array(z.string().max(pairingLimits.endpointBytes))
    .min(min)
    .max(pairingLimits.endpoints)
    .transform((texts, ctx) => {
      try {
        return texts.map((text) => formatEndpoint(parseEndpoint(text)));
      } catch {
        ctx.addIssue({ code: 'custom', message: 'not an endpoint' });
        return z.NEVER;
      }
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
