/** Every migration, in order; the version of the schema is the number of the last one. A migration that was released is never edited. */
import type { Kysely } from 'kysely';
import { up as foundation } from './0001-foundation.ts';
import { up as tokens } from './0002-tokens.ts';
import { up as audit } from './0003-audit.ts';
import { up as provisions } from './0004-provisions.ts';
import { up as images } from './0005-images.ts';
import { up as transfers } from './0006-transfers.ts';
import { up as policies } from './0007-policies.ts';

/** What engines name differently. */
export interface ColumnTypes {
  readonly binary: 'blob' | 'bytea';
}

type Migration = <T>(db: Kysely<T>, types: ColumnTypes) => Promise<void>;

export const migrations: readonly Migration[] = [foundation, tokens, audit, provisions, images, transfers, policies];
