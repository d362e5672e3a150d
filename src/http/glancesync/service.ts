/** What the REST API asks of the broker behind it. */

export const taskStatuses = ['syncing', 'synced', 'failed'] as const;

export interface RestTask {
  readonly taskId: string;
  readonly status: (typeof taskStatuses)[number];
  /** Why it failed, or what is not done; null where there is nothing to say. */
  readonly message: string | null;
}

export interface ImageStatus {
  /** Of the image in the region; null where there is none. */
  readonly id: string | null;
  readonly name: string;
  /** One of the nine of GlanceSync. */
  readonly status: string;
  readonly message: string | null;
}

/** Regions are named as GlanceSync names them: `Burgos`, `other:Madrid`. Everything throws AllianceError. */
export interface SyncService {
  /** @throws AllianceError region_not_found */
  assertRegion(region: string): Promise<void>;
  /** Of the images that are to be there; `name`: of that one only. @throws AllianceError region_not_found */
  status(region: string, name: string | null, signal: AbortSignal): Promise<readonly ImageStatus[]>;
  /**
   * Begins a sync, or returns the one of this region that REST began and that is still running.
   *
   * @param name of the only image to look at; null: all
   * @throws AllianceError region_not_found, overloaded
   */
  start(region: string, name: string | null): Promise<RestTask>;
  /** Null where there is none of that id for the region. */
  task(region: string, taskId: string): Promise<RestTask | null>;
  forget(region: string, taskId: string): Promise<'forgotten' | 'running' | 'unknown'>;
}
