/**
 * What is known of revoked tokens, by the cloud that issued them: one mark for each revocation, looked at whenever an answer about a
 * token is kept and whenever it is used. Bounded in number, memory and age; where the bound is met everything of that cloud is dropped,
 * and so is what others remember on the strength of it.
 */
import { createHash } from 'node:crypto';
import { type Clock, monotonic } from '../../core/clock.ts';
import { revocationLimits } from '../../core/limits.ts';
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import { criteria, type RevocationEvent } from '../../lproxy/keystoneRevocations.ts';
import { matches, roleIdsOf, scopeDomainOf, usersOf } from './match.ts';
import { disguiseToken, type Pseudonyms } from './pseudonyms.ts';

/** A revocation, or null: whatever is remembered of this cloud's tokens is void. */
type Listener = (issuer: string, revocation: RevocationEvent | null) => void;

interface Mark {
  readonly event: RevocationEvent;
  readonly till: number;
  readonly bytes: number;
}

/** Marks of one cloud, by the member that tells most tokens apart, then by all that they ask for. */
class Book {
  readonly buckets = new Map<string, Map<string, Mark>>();
  /** In the order of their coming. */
  readonly order = new Map<string, string>();
  bytes = 0;
  /** Grows with every mark. */
  version = 0;
  /** Monotonic time at which the newest revocation was known; null: not now. */
  confirmed: number | null = null;
}

export interface MarkLimits {
  readonly marksPerPartner: number;
  readonly marksAlike: number;
  readonly bytesPerPartner: number;
  readonly bytes: number;
}

export class RevocationMarks {
  readonly #clock: Clock;
  readonly #limits: MarkLimits;
  readonly #books = new Map<string, Book>();
  readonly #pseudonyms = new Map<string, Pseudonyms>();
  readonly #listeners: Listener[] = [];
  /** Tokens that no mark of a book was about when it had that version. */
  readonly #clean = new WeakMap<KeystoneToken, { readonly book: Book; readonly version: number }>();
  #bytes = 0;

  constructor(clock: Clock, limits: Partial<MarkLimits> = {}) {
    this.#clock = clock;
    this.#limits = { ...revocationLimits, ...limits };
  }

  /** From now on that cloud's revocations name tokens by these instead of their ids. */
  readAs(issuer: string, pseudonyms: Pseudonyms): void {
    this.#pseudonyms.set(issuer, pseudonyms);
  }

  /** False when there were too many: everything was dropped. */
  note(issuer: string, event: RevocationEvent): boolean {
    const book = this.#book(issuer);
    const now = this.#clock.now();
    this.#forget(book, now);
    const bucketKey = bucketOf(event);
    const bucket = book.buckets.get(bucketKey) ?? new Map<string, Mark>();
    const key = keyOf(event);
    const before = bucket.get(key);
    const known = before?.event;
    // Of two that ask for the same the one that reaches further says all; it takes the other's place.
    const widest = known && known.issuedBefore >= event.issuedBefore ? known : event;
    const bytes = before?.bytes ?? bytesOf(event);
    if (!before && this.#isFull(book, bucket, bytes)) {
      this.dropAll(issuer);
      return false;
    }
    book.buckets.set(bucketKey, bucket);
    bucket.set(key, { event: widest, till: tillOf(event, now), bytes });
    book.order.delete(key);
    book.order.set(key, bucketKey);
    book.version += 1;
    if (!before) this.#count(book, bytes);
    this.#tell(issuer, event);
    return this.#fits(issuer);
  }

  #isFull(book: Book, bucket: ReadonlyMap<string, Mark>, bytes: number): boolean {
    const { marksPerPartner, marksAlike, bytesPerPartner } = this.#limits;
    return book.order.size >= marksPerPartner || bucket.size >= marksAlike || book.bytes + bytes > bytesPerPartner;
  }

  #count(book: Book, bytes: number): void {
    book.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Where all have too many together, whoever has most pays. False when that is this one. */
  #fits(issuer: string): boolean {
    if (this.#bytes <= this.#limits.bytes) return true;
    const [largest] = [...this.#books].sort(([, a], [, b]) => b.bytes - a.bytes)[0]!;
    this.dropAll(largest);
    return largest !== issuer;
  }

  /** Forgets all marks, and has everybody forget what they know of that cloud's tokens. */
  dropAll(issuer: string): void {
    this.#bytes -= this.#books.get(issuer)?.bytes ?? 0;
    this.#books.delete(issuer);
    this.#tell(issuer, null);
  }

  /** Has everybody forget what they know of that cloud's tokens; the marks stay. */
  dropAnswers(issuer: string): void {
    this.#tell(issuer, null);
  }

  /** Every revocation is known that the issuer knew at this monotonic time. A `null` says that this is not so any more. */
  confirm(issuer: string, at: number | null): void {
    const book = this.#book(issuer);
    book.confirmed = at === null || book.confirmed === null ? at : Math.max(at, book.confirmed);
  }

  /** When the newest revocation was last known to be known, as the local clock shows it now; null: never, or not since a gap. */
  confirmedAt(issuer: string): number | null {
    const confirmed = this.#books.get(issuer)?.confirmed ?? null;
    return confirmed === null ? null : this.#clock.now() - (monotonic(this.#clock) - confirmed);
  }

  isRevoked(issuer: string, token: KeystoneToken): boolean {
    const book = this.#books.get(issuer);
    if (!book || book.order.size === 0) return false;
    const clean = this.#clean.get(token);
    if (clean?.book === book && clean.version === book.version) return false;
    const pseudonyms = this.#pseudonyms.get(issuer);
    const named = pseudonyms ? disguiseToken(token, pseudonyms) : token;
    for (const key of bucketsOf(named))
      for (const { event } of book.buckets.get(key)?.values() ?? []) if (matches(event, named)) return true;
    this.#clean.set(token, { book, version: book.version });
    return false;
  }

  onNote(listener: Listener): void {
    this.#listeners.push(listener);
  }

  #book(issuer: string): Book {
    const known = this.#books.get(issuer);
    if (known) return known;
    const made = new Book();
    this.#books.set(issuer, made);
    return made;
  }

  #forget(book: Book, now: number): void {
    const { buckets, order } = book;
    for (const [key, bucketKey] of order) {
      const bucket = buckets.get(bucketKey);
      const mark = bucket?.get(key);
      if ((mark?.till ?? 0) > now) return;
      this.#count(book, -(mark?.bytes ?? 0));
      order.delete(key);
      bucket?.delete(key);
      if (bucket?.size === 0) buckets.delete(bucketKey);
    }
  }

  #tell(issuer: string, event: RevocationEvent | null): void {
    for (const listener of this.#listeners) listener(issuer, event);
  }
}

/** A token that it could be about has no life left then. What the partner says of the time makes it shorter, never longer. */
const tillOf = ({ issuedBefore, revokedAt }: RevocationEvent, now: number): number =>
  Math.min(now, Math.max(issuedBefore, revokedAt) + revocationLimits.skewMs) + revocationLimits.markMs;

/** The same for two that ask for the same, and short however long their ids are. */
const keyOf = (event: RevocationEvent): string =>
  createHash('sha256')
    .update(JSON.stringify(criteria.map((name) => event[name] ?? null)))
    .digest('base64');

/** What a mark takes of memory; the name of its bucket repeats one of its texts. */
const bytesOf = (event: RevocationEvent): number =>
  criteria.reduce<number>((sum, name) => sum + 2 * String(event[name] ?? '').length, revocationLimits.markBytes) +
  2 * bucketOf(event).length;

function bucketOf(event: RevocationEvent): string {
  const name = criteria.find((criterion) => event[criterion] !== undefined && criterion !== 'expiresAt');
  return name === undefined ? 'any' : `${name} ${event[name]}`;
}

/** Where marks can lie that are about the token. */
function* bucketsOf(token: KeystoneToken): Generator<string> {
  const { auditIds, trust, project, user } = token;
  yield 'any';
  if (auditIds[0] !== undefined) {
    yield `auditId ${auditIds[0]}`;
    yield `auditChainId ${auditIds.at(-1)}`;
  }
  if (trust) yield `trustId ${trust.id}`;
  for (const id of usersOf(token)) yield `userId ${id}`;
  if (project) yield `projectId ${project.id}`;
  for (const id of roleIdsOf(token)) yield `roleId ${id}`;
  const scope = scopeDomainOf(token);
  if (scope !== null) yield `domainScopeId ${scope}`;
  for (const id of new Set([scope, user.domain.id])) if (id !== null) yield `domainId ${id}`;
}
