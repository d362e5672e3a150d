/** Tokens of this cloud that a process before this one has seen: not themselves, but what hints of them are made of. */

export interface OwnTokenRecord {
  /** docs/protocol.md, section 9; sealed at rest. */
  readonly key: Buffer;
  readonly expiresAt: number;
}

export interface OwnTokens {
  /**
   * Those that end after `since`, and what `leave` said; null where the last process did not come to that. From now on it counts as one
   * that did not.
   */
  takeUp(since: number): Promise<{ readonly tokens: readonly OwnTokenRecord[]; readonly unsureTill: number | null }>;
  /** Those that end before `since` are forgotten. */
  add(tokens: readonly OwnTokenRecord[], since: number): Promise<void>;
  /** The process has stored all it knew; it was unsure until then whether that is all there is. */
  leave(unsureTill: number): Promise<void>;
}
