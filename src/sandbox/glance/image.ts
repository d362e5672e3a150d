/** One image as this Glance keeps it, and the body that the API shows of it. */
import type { Visibility } from '../../lproxy/imageStore.ts';

export type { Visibility };

export interface Member {
  readonly projectId: string;
  status: 'pending' | 'accepted' | 'rejected';
  readonly createdAt: number;
  updatedAt: number;
}

/** Members that clients may set. */
export interface Described {
  name: string | null;
  visibility: Visibility;
  diskFormat: string | null;
  containerFormat: string | null;
  minDisk: number;
  minRam: number;
  protected: boolean;
  hidden: boolean;
  owner: string | null;
  tags: string[];
}

export interface GlanceImage extends Described {
  readonly id: string;
  /** Of the states of Glance; tests may set it. */
  status: string;
  size: number | null;
  checksum: string | null;
  hashAlgorithm: string | null;
  hashValue: string | null;
  readonly createdAt: number;
  updatedAt: number;
  /** Only `kernel_id` and `ramdisk_id` can be null. */
  readonly properties: Map<string, string | null>;
  readonly members: Map<string, Member>;
}

const formatTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export function imageBody(image: GlanceImage): Record<string, unknown> {
  const href = `/v2/images/${image.id}`;
  return {
    ...Object.fromEntries(image.properties),
    name: image.name,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
    visibility: image.visibility,
    size: image.size,
    virtual_size: image.diskFormat === 'raw' ? image.size : null,
    status: image.status,
    checksum: image.checksum,
    protected: image.protected,
    min_ram: image.minRam,
    min_disk: image.minDisk,
    owner: image.owner,
    os_hidden: image.hidden,
    os_hash_algo: image.hashAlgorithm,
    os_hash_value: image.hashValue,
    id: image.id,
    created_at: formatTime(image.createdAt),
    updated_at: formatTime(image.updatedAt),
    tags: image.tags,
    self: href,
    file: `${href}/file`,
    schema: '/v2/schemas/image',
    ...(image.size !== null && { stores: 'fs' }),
  };
}

export const memberBody = (imageId: string, { projectId, status, createdAt, updatedAt }: Member) => ({
  member_id: projectId,
  image_id: imageId,
  status,
  created_at: formatTime(createdAt),
  updated_at: formatTime(updatedAt),
  schema: '/v2/schemas/member',
});
