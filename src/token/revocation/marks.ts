/**
 * What is known of revoked tokens, by the cloud that issued them: one mark for each revocation, looked at whenever an answer about a
 * token is kept and whenever it is used. Bounded in number and age; where the bound is met everything is dropped, and so is what others
 * remember on the strength of it.
 */
import { type Clock, monotonic } from '../../core/clock.ts';
import { revocationLimits } from '../../core/limits.ts';
import type { KeystoneToken } from '../../lproxy/keystoneBodies.ts';
import { criteria, type RevocationEvent } from '../../lproxy/keystoneRevocations.ts';
import { matches, scopeDomainOf, usersOf } from './match.ts';

/** A revocation, or null: whatever is remembered of this cloud's tokens is void. */
type Listener = (issuer: string, revocation: RevocationEvent | null) => void;

interface Mark {
  readonly event: RevocationEvent;
  readonly till: number;
}

/** Marks of one cloud, by the member that tells most tokens apart, then by all that they ask for. */
class Book {
  readonly buckets = new Map<string, Map<string, Mark>>();
  /** In the order of their coming. */
  readonly order = new Map<string, string>();
  /** Monotonic time at which the newest revocation was known; null: not now. */
  confirmed: number | null = null;
}

export interface MarkLimits {
  readonly marksPerPartner: number;
  readonly marksAlike: number;
}

export class RevocationMarks {
  readonly #clock: Clock;
  readonly #limits: MarkLimits;
  readonly #books = new Map<string, Book>();
  readonly #listeners: Listener[] = [];

  constructor(clock: Clock, limits: MarkLimits = revocationLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** False when there were too many: everything was dropped. */
  note(issuer: string, event: RevocationEvent): boolean {
    const book = this.#book(issuer);
    const now = this.#clock.now();
    this.#forget(book, now);
    const bucketKey = bucketOf(event);
    const bucket = book.buckets.get(bucketKey) ?? new Map<string, Mark>();
    const key = JSON.stringify(criteria.map((name) => event[name] ?? null));
    const known = bucket.get(key)?.event;
    // Of two that ask for the same the one that reaches further says all; it takes the other's place.
    const widest = known && known.issuedBefore >= event.issuedBefore ? known : event;
    const full = !known && (book.order.size >= this.#limits.marksPerPartner || bucket.size >= this.#limits.marksAlike);
    if (full) {
      this.dropAll(issuer);
      return false;
    }
    book.buckets.set(bucketKey, bucket);
    bucket.set(key, { event: widest, till: tillOf(event, now) });
    book.order.delete(key);
    book.order.set(key, bucketKey);
    this.#tell(issuer, event);
    return true;
  }

  /** Forgets all marks, and has everybody forget what they know of that cloud's tokens. */
  dropAll(issuer: string): void {
    this.#books.delete(issuer);
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
    if (!book) return false;
    for (const key of bucketsOf(token))
      for (const { event } of book.buckets.get(key)?.values() ?? []) if (matches(event, token)) return true;
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

  #forget({ buckets, order }: Book, now: number): void {
    for (const [key, bucketKey] of order) {
      const bucket = buckets.get(bucketKey);
      if ((bucket?.get(key)?.till ?? 0) > now) return;
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

function bucketOf(event: RevocationEvent): string {
  const name = criteria.find((criterion) => event[criterion] !== undefined && criterion !== 'expiresAt');
  return name === undefined ? 'any' : `${name} ${event[name]}`;
}

/** Where marks can lie that are about the token. */
function* bucketsOf(token: KeystoneToken): Generator<string> {
  const { auditIds, trust, project, roles, user } = token;
  yield 'any';
  if (auditIds[0] !== undefined) {
    yield `auditId ${auditIds[0]}`;
    yield `auditChainId ${auditIds.at(-1)}`;
  }
  if (trust) yield `trustId ${trust.id}`;
  for (const id of usersOf(token)) yield `userId ${id}`;
  if (project) yield `projectId ${project.id}`;
  for (const { id } of roles) yield `roleId ${id}`;
  const scope = scopeDomainOf(token);
  if (scope !== null) yield `domainScopeId ${scope}`;
  for (const id of new Set([scope, user.domain.id])) if (id !== null) yield `domainId ${id}`;
}
