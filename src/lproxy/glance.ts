/** Images of one region in a Glance (Image API v2). Requests go to the given endpoint and nowhere else: no link and no redirect is followed. */
import { AllianceError } from '../core/errors.ts';
import { glanceLimits } from '../core/limits.ts';
import { creationBody, idForm, parseImage, parseMembers } from './glanceBodies.ts';
import { getImage, readImage } from './glanceData.ts';
import { statusError } from './glanceErrors.ts';
import { createGlanceHttp, type GlanceHttp, type GlanceLimits, type TokenSource } from './glanceHttp.ts';
import { listImages } from './glanceListing.ts';
import { patchOf, patchType } from './glancePatch.ts';
import { writeImage } from './glanceUpload.ts';
import type { ImageAttributes, ImageChanges, ImageStore, StoreCall, StoredImage } from './imageStore.ts';

export type { GlanceLimits, TokenSource } from './glanceHttp.ts';

export interface GlanceOptions {
  /** With or without `/v2` at its end, with any path before it. */
  readonly endpoint: string;
  /** As messages name it. */
  readonly label: string;
  readonly tokens: TokenSource;
  /** Id of the project that the tokens are for: whose images are ours. */
  readonly projectId: string;
  /** Whether images may be made `public`; usually admins only. */
  readonly publishes: boolean;
  /** Authorities to trust instead of the system's, PEM (the text, not a path). */
  readonly cacert?: string | undefined;
  readonly limits?: Partial<GlanceLimits> | undefined;
}

/** What can be no id is the id of nothing, and must not become part of a path. */
function assertId(label: string, id: string): void {
  if (!idForm.test(id))
    throw new AllianceError('image_not_found', { field: 'id', details: `${label}: no id of an image.` });
}

/** The one that is there where an earlier attempt of ours made it. */
async function ownImage(http: GlanceHttp, id: string, projectId: string, call: StoreCall): Promise<StoredImage> {
  const taken = () =>
    new AllianceError('image_conflict', { field: 'id', details: `${http.label}: id ${id} is taken.` });
  const image = await getImage(http, id, call).catch((error: unknown) => {
    throw error instanceof AllianceError && error.errorName === 'image_not_found' ? taken() : error;
  });
  if (image.owner !== projectId) throw taken();
  return image;
}

async function create(
  http: GlanceHttp,
  { id, attributes, projectId }: { id: string; attributes: ImageAttributes; projectId: string },
  call: StoreCall,
): Promise<StoredImage> {
  const answer = await http.send({
    method: 'POST',
    path: '/images',
    headers: { 'content-type': 'application/json' },
    body: creationBody(id, attributes),
    repeatable: true,
    signal: call.signal,
  });
  if (answer.status === 409) return ownImage(http, id, projectId, call);
  if (answer.status !== 201) throw statusError(http.label, answer.status, answer.text);
  return parseImage(http.label, answer.text);
}

/** Worked out again where the image changed meanwhile, or where the answer to a patch was lost. */
async function update(http: GlanceHttp, id: string, changes: ImageChanges, call: StoreCall): Promise<StoredImage> {
  for (let attempt = 0; ; attempt += 1) {
    const image = await getImage(http, id, call);
    const operations = patchOf(image, changes);
    if (operations.length === 0) return image;
    const last = attempt >= http.limits.retries;
    try {
      const answer = await http.send({
        method: 'PATCH',
        path: `/images/${id}`,
        headers: { 'content-type': patchType },
        body: JSON.stringify(operations),
        repeatable: false,
        signal: call.signal,
      });
      if (answer.status === 200) return parseImage(http.label, answer.text);
      if (answer.status !== 409 || last) throw statusError(http.label, answer.status, answer.text, id);
    } catch (error) {
      if (last || !(error instanceof AllianceError && error.errorName === 'glance_unreachable')) throw error;
    }
  }
}

async function remove(http: GlanceHttp, id: string, call: StoreCall): Promise<void> {
  const answer = await http.send({ method: 'DELETE', path: `/images/${id}`, repeatable: true, signal: call.signal });
  if (answer.status === 204 || answer.status === 404 || answer.status === 410) return;
  const error = statusError(http.label, answer.status, answer.text, id);
  const isProtected = answer.status === 403 && /\bprotected\b/i.test(error.details ?? '');
  throw isProtected ? new AllianceError('image_conflict', { details: error.details! }) : error;
}

async function members(http: GlanceHttp, id: string, call: StoreCall) {
  const request = { method: 'GET', path: `/images/${id}/members`, repeatable: true, signal: call.signal } as const;
  const answer = await http.send(request);
  if (answer.status !== 200) throw statusError(http.label, answer.status, answer.text, id);
  return parseMembers(http.label, answer.text);
}

async function addMember(http: GlanceHttp, id: string, projectId: string, call: StoreCall): Promise<void> {
  const answer = await http.send({
    method: 'POST',
    path: `/images/${id}/members`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ member: projectId }),
    repeatable: true,
    signal: call.signal,
  });
  // 409: it is one already.
  if (answer.status !== 200 && answer.status !== 409) throw statusError(http.label, answer.status, answer.text, id);
}

/** @throws AllianceError configuration for an endpoint that is none */
export function createGlance(options: GlanceOptions): ImageStore {
  const { label, projectId, publishes } = options;
  const http = createGlanceHttp({ ...options, limits: { ...glanceLimits, ...options.limits } });
  const checked = <T>(id: string, act: () => Promise<T>): Promise<T> =>
    Promise.resolve().then(() => {
      assertId(label, id);
      return act();
    });
  return {
    label,
    publishes,
    list: (call = {}) => listImages(http, call),
    get: (id, call = {}) => checked(id, () => getImage(http, id, call)),
    members: (id, call = {}) => checked(id, () => members(http, id, call)),
    addMember: (id, member, call = {}) => checked(id, () => addMember(http, id, member, call)),
    async *read(id, offset, call = {}) {
      assertId(label, id);
      yield* readImage(http, id, offset, call);
    },
    create: (id, attributes, call = {}) => checked(id, () => create(http, { id, attributes, projectId }, call)),
    write: (id, content, sizeBytes, call = {}) => checked(id, () => writeImage(http, id, content, sizeBytes, call)),
    update: (id, changes, call = {}) => checked(id, () => update(http, id, changes, call)),
    delete: (id, call = {}) => checked(id, () => remove(http, id, call)),
    close: () => http.close(),
  };
}
