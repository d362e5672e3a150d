/** The images of one Glance, what may happen to them, and what they weigh. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type Json, readCreation, uuidForm } from './attributes.ts';
import type { Contents, Received } from './content.ts';
import { badRequest, conflict, forbidden, gone, notFound, tooLarge } from './errors.ts';
import type { GlanceImage } from './image.ts';
import { assertMayChange, assertMayPublish, type Caller, isAdmin, maySee } from './policy.ts';

/** Of each project, as the limits of Keystone say; tests may change them at any time. */
export interface Quota {
  images: number;
  bytes: number;
  /** Of one image: `image_size_cap`. */
  imageBytes: number;
}

export class GlanceState {
  readonly images = new Map<string, GlanceImage>();
  readonly quota: Quota = {
    images: Number.POSITIVE_INFINITY,
    bytes: Number.POSITIVE_INFINITY,
    imageBytes: Number.POSITIVE_INFINITY,
  };
  readonly contents: Contents;
  readonly #clock: Clock;
  /** Ids are never used twice, also when their image is gone. */
  readonly #deleted = new Set<string>();

  constructor(contents: Contents, clock: Clock) {
    this.contents = contents;
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** @throws GlanceError 404, also where the caller may not know of it */
  find(caller: Caller, id: string): GlanceImage {
    const image = this.images.get(id);
    if (!image || !maySee(caller, image)) throw notFound(id);
    return image;
  }

  create(caller: Caller, body: Json): GlanceImage {
    const { id, described, properties } = readCreation(body);
    const owner = 'owner' in body ? described.owner : caller.projectId;
    if (!isAdmin(caller) && (owner !== caller.projectId || !caller.roles.has('member')))
      throw forbidden('You are not authorized to complete add_image action.');
    assertMayPublish(caller, described.visibility);
    this.#assertRoom(owner);
    if (id !== null && (this.images.has(id) || this.#deleted.has(id))) throw conflict(`Image ID ${id} already exists!`);
    const now = this.now();
    const image: GlanceImage = {
      ...described,
      owner,
      id: id ?? randomUUID(),
      status: 'queued',
      size: null,
      checksum: null,
      hashAlgorithm: null,
      hashValue: null,
      createdAt: now,
      updatedAt: now,
      properties,
      members: new Map(),
    };
    this.images.set(image.id, image);
    return image;
  }

  /** Before its bytes come. @throws GlanceError 409 unless it is queued, 413 where there is no room for it */
  beginUpload(caller: Caller, id: string, size: number | null): GlanceImage {
    this.#assertBytes(caller.projectId, 0, size ?? 0);
    const image = this.find(caller, id);
    assertMayChange(caller, image, 'upload_image');
    if (image.status !== 'queued')
      throw conflict(`Image status transition from ${image.status} to saving is not allowed`);
    if (image.diskFormat === null || image.containerFormat === null)
      throw badRequest('Properties disk_format, container_format must be set prior to saving data.');
    this.#change(image, { status: 'saving' });
    return image;
  }

  /** @throws GlanceError 413 as soon as what has come of an image is too much */
  assertRoomFor(image: GlanceImage, bytes: number): void {
    this.#assertBytes(image.owner ?? '', bytes, 0);
  }

  /** @throws GlanceError 410 where it was deleted meanwhile */
  async endUpload(image: GlanceImage, { size, checksum, sha512 }: Received, status = 'active'): Promise<void> {
    if (!this.images.has(image.id)) {
      await this.contents.remove(image.id);
      throw gone(
        `Image ${image.id} could not be found after upload. The image may have been deleted during the upload, cleaning up the chunks uploaded.`,
      );
    }
    this.#change(image, { status, size, checksum, hashAlgorithm: 'sha512', hashValue: sha512 });
  }

  abortUpload(image: GlanceImage): void {
    if (image.status === 'saving') this.#change(image, { status: 'queued' });
  }

  /** Only an active one can be deactivated, and that one be activated again. */
  act(caller: Caller, id: string, action: 'deactivate' | 'reactivate'): void {
    const image = this.find(caller, id);
    assertMayChange(caller, image, action);
    const status = action === 'deactivate' ? 'deactivated' : 'active';
    if (image.status !== 'active' && image.status !== 'deactivated')
      throw forbidden(`Image status transition from ${image.status} to ${status} is not allowed`);
    this.#change(image, { status });
  }

  async remove(caller: Caller, id: string): Promise<void> {
    const image = this.images.get(id);
    if (!image || !maySee(caller, image)) throw notFound(id);
    assertMayChange(caller, image, 'delete_image');
    if (image.protected) throw forbidden(`Image ${id} is protected and cannot be deleted.`);
    this.images.delete(id);
    if (uuidForm.test(id)) this.#deleted.add(id);
    await this.contents.remove(id);
  }

  touch(image: GlanceImage): void {
    image.updatedAt = this.now();
  }

  #change(image: GlanceImage, values: Partial<GlanceImage>): void {
    Object.assign(image, values);
    this.touch(image);
  }

  #assertRoom(owner: string | null): void {
    const count = [...this.images.values()].filter((image) => image.owner === owner).length;
    if (count >= this.quota.images)
      throw tooLarge(`Project ${owner} is over a limit for image_count_total: ${count} of ${this.quota.images}.`);
  }

  #assertBytes(owner: string, received: number, announced: number): void {
    const { bytes, imageBytes } = this.quota;
    if (Math.max(received, announced) > imageBytes)
      throw tooLarge('The incoming image is too large: Image size limit exceeded');
    if (bytes === Number.POSITIVE_INFINITY) return;
    const used = [...this.images.values()].reduce(
      (sum, image) => sum + (image.owner === owner ? (image.size ?? 0) : 0),
      0,
    );
    if (used + Math.max(received, announced) > bytes)
      throw tooLarge(`Image exceeds the storage quota: The size of the data exceeds ${bytes} bytes.`);
  }
}
