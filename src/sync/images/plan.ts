/** What a sync of one region would change, as data. */
import type { LinkKey, PropertyValue } from './image.ts';

/** As the original calls them. */
export type Status =
  | 'ok'
  | 'ok_stalled_checksum'
  | 'pending_upload'
  | 'pending_replace'
  | 'pending_rename'
  | 'pending_metadata'
  | 'pending_ami'
  | 'error_ami'
  | 'error_checksum';

/** One selected image of the master. */
export interface Entry {
  readonly status: Status;
  readonly name: string;
  /** Of the master's image. */
  readonly id: string;
  readonly sizeBytes: number;
  /** A sentence. */
  readonly reason: string;
  /** What differs where the image is there. */
  readonly differences: readonly Difference[];
}

export interface Difference {
  /** `checksum`, `is_public`, or a property. */
  readonly field: string;
  /** Links to other images by name. */
  readonly master: PropertyValue;
  readonly region: PropertyValue;
}

/** The id that an earlier action of the same plan gives to the image of this name. */
export interface IdOf {
  readonly idOf: string;
}
export type PlannedProperties = ReadonlyMap<string, PropertyValue | IdOf>;

interface Change {
  /** The name of the image in the master. */
  readonly name: string;
  readonly isPublic: boolean;
  /** All that it has afterwards. */
  readonly properties: PlannedProperties;
  readonly reason: string;
}

/** Sends an image; afterwards the one that it replaces is deleted, or put aside: private, and under another name. */
export interface Upload extends Change {
  readonly kind: 'upload' | 'replace' | 'rename';
  /** Of the master's image. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly old: { readonly id: string; readonly newName: string | null } | null;
}

/** Changes what is known of an image of the region. */
export interface Update extends Change {
  readonly kind: 'update' | 'obsolete';
  readonly id: string;
  /** What it is called afterwards. */
  readonly newName: string;
}

export type Action = Upload | Update;

/** What an operator should know and nobody mends. */
export interface Notice {
  readonly kind:
    | 'duplicate'
    | 'foreign'
    | 'inactive'
    | 'obsolete_in_use'
    | 'content_differs'
    | 'link_missing'
    | 'condition_failed'
    | 'unfit';
  readonly name: string;
  readonly details: string;
}

export interface RegionPlan {
  /** Smallest first. */
  readonly entries: readonly Entry[];
  /** In the order in which they are carried out. */
  readonly actions: readonly Action[];
  readonly notices: readonly Notice[];
  /** Why there is no plan; null where there is one. */
  readonly failure: string | null;
}

/** Bytes that the actions send. */
export const bytesOf = (actions: readonly Action[]): number =>
  actions.reduce((sum, action) => sum + ('sizeBytes' in action ? action.sizeBytes : 0), 0);

export const linkLabel = (key: LinkKey): string => (key === 'kernel_id' ? 'kernel' : 'ramdisk');
