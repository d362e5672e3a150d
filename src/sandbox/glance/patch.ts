/** `PATCH /v2/images/ID`: JSON patch (RFC 6902) of one level, as `application/openstack-images-v2.1-json-patch`. */
import { assertWritable, checkProperty, type Json, setters } from './attributes.ts';
import { badRequest, conflict, forbidden } from './errors.ts';
import type { Described, GlanceImage } from './image.ts';
import { assertMayPublish, type Caller, isAdmin } from './policy.ts';

interface Change {
  readonly op: 'add' | 'replace' | 'remove';
  readonly key: string;
  readonly value: unknown;
}

/** The one member that a pointer names. */
function keyOf(pointer: unknown): string {
  if (typeof pointer !== 'string') throw badRequest("Unable to find 'path' in JSON Schema change");
  if (!pointer.startsWith('/')) throw badRequest(`Pointer \`${pointer}\` does not start with "/".`);
  if (/~([^01]|$)/.test(pointer))
    throw badRequest(`Pointer \`${pointer}\` contains "~" not part of a recognized escape sequence.`);
  const parts = pointer.slice(1).split('/');
  const key = parts[0]!.replaceAll('~1', '/').replaceAll('~0', '~').trim();
  if (parts.length !== 1 || key === '') throw badRequest(`Invalid JSON pointer for this resource: '${pointer}'`);
  return key;
}

function readChange(raw: unknown): Change {
  if (typeof raw !== 'object' || raw === null) throw badRequest('Operations must be JSON objects.');
  const { op, path, value } = raw as Json;
  if (op !== 'add' && op !== 'replace' && op !== 'remove')
    throw badRequest(`Invalid operation: \`${op}\`. It must be one of the following: add, remove, replace.`);
  const key = keyOf(path);
  assertWritable(key);
  if (op !== 'remove' && value === undefined) throw badRequest(`Operation "${op}" requires a member named "value".`);
  return { op, key, value };
}

function apply(image: Described, properties: Map<string, string | null>, { op, key, value }: Change): void {
  const set = setters.get(key);
  if (op === 'remove') {
    if (set) throw forbidden(`Property ${key} may not be removed.`);
    if (!properties.delete(key)) throw conflict(`Property ${key} does not exist.`);
  } else if (set) set(image, value, key);
  else {
    if (op === 'replace' && !properties.has(key)) throw conflict(`Property ${key} does not exist.`);
    properties.set(key, checkProperty(key, value));
  }
}

/** All of it or nothing. @throws GlanceError */
export function applyPatch(caller: Caller, image: GlanceImage, body: unknown): void {
  if (!Array.isArray(body)) throw badRequest('Request body must be a JSON array of operation objects.');
  const changes = body.map(readChange);
  const draft: GlanceImage = { ...image };
  const properties = new Map(image.properties);
  for (const change of changes) {
    if (change.key === 'owner' && !isAdmin(caller)) throw forbidden("Owner can't be updated by non admin.");
    apply(draft, properties, change);
    if (change.key === 'visibility') assertMayPublish(caller, draft.visibility);
    if ((change.key === 'disk_format' || change.key === 'container_format') && image.status !== 'queued')
      throw forbidden(`Attribute ${change.key} can be only replaced for a queued image.`);
  }
  image.properties.clear();
  for (const [key, value] of properties) image.properties.set(key, value);
  const { status, properties: _kept, members, ...rest } = draft;
  Object.assign(image, rest);
}
