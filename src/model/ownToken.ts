/** Tokens of this cloud that a process before this one has issued: not themselves, but what hints of them are made of. */

export interface OwnTokenRecord {
  /** docs/protocol.md, section 9; sealed at rest. */
  readonly key: Buffer;
  readonly expiresAt: number;
  readonly auditId: string | undefined;
}

export interface OwnTokens {
  /**
   * Those that end after `since`, so many at most and all others deleted, and what `leave` said; null where the last process did not come
   * to that, or not all that it left can be read. From now on it counts as one that did not.
   */
  takeUp(
    since: number,
    most: number,
  ): Promise<{ readonly tokens: readonly OwnTokenRecord[]; readonly unsureTill: number | null }>;
  /** Those that end before `since`, and then those that end first, are deleted until no more are left than `most`. */
  add(tokens: readonly OwnTokenRecord[], bounds: { readonly since: number; readonly most: number }): Promise<void>;
  /** The process has stored all it knew; it was unsure until then whether that is all there is. */
  leave(unsureTill: number): Promise<void>;
}
