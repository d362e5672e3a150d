/**
 * Images of one region, wherever it is: a Glance of this cloud or of another Keystone, a partner's, or a directory of listings.
 * Names and meanings are those of Glance's Image API v2.
 */

export const visibilities = ['public', 'community', 'shared', 'private'] as const;
export type Visibility = (typeof visibilities)[number];

/** `os_hash_algo` and `os_hash_value`. */
export interface ImageHash {
  /** In lower case, such as `sha512`. */
  readonly algorithm: string;
  /** Lower case hex. */
  readonly value: string;
}

/** What whoever makes an image says of it. */
export interface ImageAttributes {
  readonly name: string;
  readonly visibility: Visibility;
  /** Null until it is known. */
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  readonly protected: boolean;
  readonly hidden: boolean;
  readonly tags: readonly string[];
  /** Without those of the schema; a Map, since the keys are what somebody else wrote. */
  readonly properties: ReadonlyMap<string, string>;
}

export interface StoredImage extends ImageAttributes {
  readonly id: string;
  /** Id of a project; empty where it belongs to nobody. */
  readonly owner: string;
  /** `queued`, `saving`, `uploading`, `importing`, `active`, `deactivated`, `killed`, `deleted`, `pending_delete`. */
  readonly status: string;
  /** Null until there is content. */
  readonly sizeBytes: number | null;
  /** MD5, lower case hex; null where it is not known. */
  readonly checksum: string | null;
  readonly hash: ImageHash | null;
  /** UTC epoch milliseconds; null where the service does not say. */
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
}

/** A project that a `shared` image is shared with. */
export interface ImageMember {
  readonly projectId: string;
  /** `pending`, `accepted` or `rejected`. */
  readonly status: string;
}

/** What changes; what is absent stays. Properties that become null are removed, and those that are not named stay. */
export interface ImageChanges extends Partial<Omit<ImageAttributes, 'properties'>> {
  readonly properties?: ReadonlyMap<string, string | null>;
}

export interface StoreCall {
  readonly signal?: AbortSignal;
}

export interface ListCall extends StoreCall {
  /** Only images of this name are wanted; a service that cannot choose gives others, too. */
  readonly name?: string;
}

/** What can be done there with images. Every call throws AllianceError; `image_not_found` where there is none of that id. */
export interface ImageStore {
  /** As messages name it. */
  readonly label: string;
  /** Whether new images and changed ones may be `public`. */
  readonly publishes: boolean;
  /** All that may be seen, page by page, in the service's order. An incomplete listing throws; it never just ends. */
  list(call?: ListCall): AsyncIterable<readonly StoredImage[]>;
  get(id: string, call?: StoreCall): Promise<StoredImage>;
  members(id: string, call?: StoreCall): Promise<readonly ImageMember[]>;
  addMember(id: string, projectId: string, call?: StoreCall): Promise<void>;
  /** Bytes from `offset` to the end, in pieces of any size, which are the receiver's to keep. Ends early by a throw only. */
  read(id: string, offset: number, call?: StoreCall): AsyncIterable<Buffer>;
  /**
   * Makes an image without content (`queued`), owned by the project that the store works in.
   *
   * @param id a UUID that the caller has chosen, so that it can find the image again whatever happens. A repeat by the same caller
   * returns the image that is there.
   * @throws AllianceError image_conflict where an image of another one has the id
   */
  create(id: string, attributes: ImageAttributes, call?: StoreCall): Promise<StoredImage>;
  /**
   * The content of a `queued` image, all of it; returns when the image is `active`. What is given to it is read no faster than it
   * is stored. If `content` throws, the service is told so, and the image does not become active.
   */
  write(id: string, content: AsyncIterable<Buffer>, sizeBytes: number, call?: StoreCall): Promise<StoredImage>;
  update(id: string, changes: ImageChanges, call?: StoreCall): Promise<StoredImage>;
  /** Without an error where there is none of that id. */
  delete(id: string, call?: StoreCall): Promise<void>;
  close(): Promise<void>;
}

/**
 * Properties that begin so are never copied, compared or set on a partner's word: this program's own, such as those of an upload that is
 * not finished; Glance's own; and the keys of encrypted volumes, which Glance deletes with the image that names them.
 */
const reservedPrefixes = ['alliance_', 'os_glance_', 'cinder_encryption_key'] as const;
export const isReservedProperty = (key: string): boolean =>
  reservedPrefixes.some((prefix) => key.toLowerCase().startsWith(prefix));

/** Nor are those by which services act on other things than the image, such as volumes to boot from instead of it. */
export const isNeverCopied = (key: string): boolean =>
  isReservedProperty(key) || /^(block_device_mapping|bdm_v2|mappings)$/i.test(key);

/** Containers that are no box of their own around what is looked at. */
export const plainContainers: ReadonlySet<string> = new Set(['bare', 'ami', 'aki', 'ari']);

/**
 * A broker's own properties on images that it made at a partner begin so there: to the partner's broker they are what somebody else notes,
 * and never what it notes itself.
 */
export const partnerMarkPrefix = 'partner_alliance_';
