/** Images that are on their way into a region: one row for each, written before each step is done, so that any end can be mended. */

/**
 *     create -> write -> verify -> publish -> retire -> clear -> (gone)
 *     create, write, verify -> undo -> (gone)
 *
 * `create`: an image with the id below may come to be. `write`: it is there, marked as this row's, and gets its content. `verify`: it has
 * all of it. `publish`: its content is what it should be; from here on it goes forward only. `retire`: it is as it should be, the one that it replaces goes.
 * `clear`: only the mark is left to take away. `undo`: the image goes.
 */
export const transferSteps = ['create', 'write', 'verify', 'publish', 'retire', 'clear', 'undo'] as const;
export type TransferStep = (typeof transferSteps)[number];

/** What tells one content from another, as far as it is known. */
export interface ContentProof {
  readonly sizeBytes: number;
  /** MD5, lower case hex. */
  readonly checksum: string | null;
  /** `os_hash_algo` and `os_hash_value`. */
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
}

/** The image that is replaced, as the plan saw it. */
export interface OldImage extends ContentProof {
  readonly id: string;
  readonly name: string;
  /** Null: it is deleted. */
  readonly newName: string | null;
  /** Put aside it is private, unless images of other projects need it. */
  readonly staysVisible?: boolean;
}

/** What the image gets when its content is there; absent: it stays as it is. */
export interface FinalAttributes {
  readonly visibility?: 'public' | 'community' | 'shared' | 'private';
  readonly hidden: boolean;
  /** Ids of projects that it is shared with. */
  readonly members: readonly string[];
}

export interface NewTransfer {
  /** A UUID, which the image bears as its mark. */
  readonly id: string;
  readonly executionId: string;
  readonly taskId: string;
  /** `End.key` of the region. */
  readonly regionKey: string;
  /** The UUID that the image has, or will have. */
  readonly imageId: string;
  readonly name: string;
  readonly sourceId: string;
  readonly content: ContentProof;
  readonly old: OldImage | null;
  readonly final: FinalAttributes;
}

export interface Transfer extends NewTransfer {
  readonly step: TransferStep;
  /** UTC epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** All of it is on the disk when a call returns: an image of ours that nobody remembers would stay for ever. */
export interface Transfers {
  /** With step `create`. */
  begin(transfer: NewTransfer): Promise<void>;
  /** @throws AllianceError internal where the row is gone: another process has ended it. */
  setStep(id: string, step: TransferStep, content?: ContentProof): Promise<void>;
  /** There is nothing left to do for it. */
  close(id: string): Promise<void>;
  /** Whether it is open, in any region. */
  has(id: string): Promise<boolean>;
  /** Oldest first. */
  openIn(regionKey: string): Promise<readonly Transfer[]>;
  /** How many images of ours the last good run saw there; null: there was none. */
  listedImages(key: string): Promise<number | null>;
  setListedImages(key: string, images: number): Promise<void>;
}
