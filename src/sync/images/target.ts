/** What is configured for the regions of one target: which images go there, and what becomes of those that differ. */
import { AllianceError } from '../../core/errors.ts';
import type { Condition } from './condition.ts';
import { type Image, isObsoleteName } from './image.ts';

export interface Target {
  /** Whether an image of the master is wanted here. Null: by visibility and `metadataSet`. */
  readonly condition: Condition | null;
  /** Properties that are kept equal; none: all of them. */
  readonly metadataSet: ReadonlySet<string>;
  /** Ids of the master's images that are wanted in any case. */
  readonly forceSyncs: ReadonlySet<string>;
  /** Hashes of images here that are replaced, renamed, left alone where the content differs; `any` stands for all. */
  readonly replace: ReadonlySet<string>;
  readonly rename: ReadonlySet<string>;
  readonly dontUpdate: ReadonlySet<string>;
  /** Properties that images which the master calls obsolete get from it. */
  readonly obsoleteProperties: ReadonlySet<string>;
  readonly supportsObsolete: boolean;
  /** Images of other projects count as not there. */
  readonly onlyOwnImages: boolean;
}

export type Selected = 'yes' | 'no' | { readonly failed: string };

/** Whether an image of the master is wanted; the first rule that applies decides. */
export function isSelected(image: Image, target: Target, masterRegion: string): Selected {
  if (isObsoleteName(image.name)) return 'no';
  if (target.forceSyncs.has(image.id)) return 'yes';
  if (target.condition)
    try {
      const { metadataSet } = target;
      return target.condition.holds({ image, region: masterRegion, metadataSet }) ? 'yes' : 'no';
    } catch (error) {
      if (error instanceof AllianceError) return { failed: error.details ?? error.message };
      throw error;
    }
  if (!image.isPublic) return 'no';
  const { metadataSet } = target;
  return metadataSet.size === 0 || [...metadataSet].some((key) => image.properties.has(key)) ? 'yes' : 'no';
}
