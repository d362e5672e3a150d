/** The one append-only feed of everything that a partner must not miss. */

export interface FeedEntry {
  readonly seq: number;
  readonly subject: string;
  readonly payload: unknown;
  readonly at: number;
}

export interface FeedQuery {
  /** Sequence of the last entry that the reader has; 0 = from the beginning. */
  readonly after: number;
  /** Only these; absent = all. */
  readonly subjects?: readonly string[];
  readonly limit?: number;
}

export interface FeedPage {
  readonly entries: readonly FeedEntry[];
  /** What to give as `after` next time. */
  readonly next: number;
  /** Sequence of the newest entry of all. */
  readonly head: number;
  /** True when entries after `after` were cut away before they were read: the reader must resynchronise. */
  readonly gap: boolean;
}

export interface Feed {
  /** Returns the sequence. */
  append(subject: string, payload: object): Promise<number>;
  /** Several in one transaction, in their order. Returns the sequence of the last; those before it have the ones just below. */
  appendAll(subject: string, payloads: readonly object[]): Promise<number>;
  read(query: FeedQuery): Promise<FeedPage>;
  /** Like read, but waits for something to read; an empty page after timeoutMs. Rejects with the signal's reason, or shutting_down when the store closes. */
  wait(query: FeedQuery & { timeoutMs?: number; signal?: AbortSignal }): Promise<FeedPage>;
  /** Returns how many entries were cut away. */
  prune(bounds: { olderThan?: number; keepRows?: number }): Promise<number>;
}
