/** Listings that partners are in the middle of: each goes on where its last page ended, as long as that is not long ago. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { ImageRules } from './access.ts';
import { type SeenImage, wireBytes } from './encode.ts';

export interface ListedPage {
  readonly images: readonly SeenImage[];
  /** Where the next page begins; null: this was the last one. */
  readonly nextAfter: string | null;
}

export interface ListingQuestion {
  readonly region: string;
  readonly after: string | undefined;
  readonly limit: number;
  /** What the operator says of the partner now: a listing under other words is another one. */
  readonly rules: ImageRules;
}

/** What one listing reads from. */
export interface ListingSource {
  /** All that its partner may see, in an order that stays. */
  all(signal: AbortSignal): AsyncIterator<SeenImage>;
  /** Whether there is any use in looking for the image in it. */
  has(id: string): Promise<boolean>;
}

/** Of a region, and of the operator's words. */
const scopeOf = ({ region, rules }: ListingQuestion): string => JSON.stringify([region, rules]);

const goneMark = () =>
  new AllianceError('bad_request', {
    field: 'after',
    details: 'There is no image of that id in the listing any more.',
  });

class Cursor {
  readonly scope: string;
  readonly #images: AsyncIterator<SeenImage>;
  readonly #abort = new AbortController();
  readonly #until: number;
  /** Read, but not told yet. */
  #next: SeenImage | undefined;
  /** Id of the last one that was told. */
  last: string | undefined;
  timer: NodeJS.Timeout | undefined;

  constructor(scope: string, source: ListingSource, ageMs: number) {
    this.scope = scope;
    this.#until = performance.now() + ageMs;
    this.#images = source.all(this.#abort.signal);
  }

  get old(): boolean {
    return performance.now() >= this.#until;
  }

  async #peek(): Promise<SeenImage | undefined> {
    if (this.#next === undefined) {
      const { done, value } = await this.#images.next();
      if (!done) this.#next = value;
    }
    return this.#next;
  }

  /** Goes behind the image of that id. @throws AllianceError bad_request where there is none */
  async skipTo(id: string): Promise<void> {
    for (;;) {
      const seen = await this.#peek();
      if (!seen) throw goneMark();
      this.#next = undefined;
      if (seen.image.id === id) return;
    }
  }

  async page(limit: number): Promise<ListedPage> {
    const images: SeenImage[] = [];
    let bytes = 0;
    for (;;) {
      const seen = await this.#peek();
      if (!seen) return { images, nextAfter: null };
      bytes += wireBytes(seen.image);
      if (images.length > 0 && (images.length === limit || bytes > partnerImageLimits.pageBytes)) break;
      images.push(seen);
      this.#next = undefined;
    }
    this.last = images.at(-1)?.image.id;
    return { images, nextAfter: this.last ?? null };
  }

  /** Also in the middle of a page, which then fails. */
  end(error?: AllianceError): void {
    clearTimeout(this.timer);
    this.#abort.abort(error);
    // Nobody reads it any more, so nobody has to hear how it ended.
    this.#images.return?.().catch(() => undefined);
  }
}

const overloaded = (details: string): AllianceError => new AllianceError('overloaded', { details, retryAfterMs: 1000 });

export interface ListingTimes {
  readonly walkMs: number;
  readonly cursorAgeMs: number;
}

export class Listings {
  readonly #limits: ListingTimes;
  /** By partner. A cursor that is in use is not among them. */
  readonly #cursors = new Map<string, Cursor[]>();
  /** Pages that are put together now, by partner. */
  readonly #walks = new Map<string, number>();

  constructor(limits: Partial<ListingTimes> = {}) {
    this.#limits = { ...partnerImageLimits, ...limits };
  }

  /** @throws AllianceError overloaded where the partner asks for too many pages at a time, or one takes too long */
  async page(uid: string, question: ListingQuestion, source: ListingSource): Promise<ListedPage> {
    const walks = this.#walks.get(uid) ?? 0;
    if (walks >= partnerImageLimits.walksPerPartner) throw overloaded('The partner lists too many times at a time.');
    this.#walks.set(uid, walks + 1);
    try {
      return await this.#page(uid, question, source);
    } finally {
      const left = (this.#walks.get(uid) ?? 1) - 1;
      if (left > 0) this.#walks.set(uid, left);
      else this.#walks.delete(uid);
    }
  }

  close(): void {
    for (const cursors of this.#cursors.values()) for (const cursor of cursors) cursor.end();
    this.#cursors.clear();
  }

  async #page(uid: string, question: ListingQuestion, source: ListingSource): Promise<ListedPage> {
    const { after, limit } = question;
    const scope = scopeOf(question);
    const known = after === undefined ? undefined : this.#take(uid, scope, after);
    if (!known && after !== undefined && !(await source.has(after))) throw goneMark();
    const cursor = known ?? new Cursor(scope, source, this.#limits.cursorAgeMs);
    const late = setTimeout(() => cursor.end(overloaded('The listing took too long.')), this.#limits.walkMs);
    try {
      if (!known && after !== undefined) await cursor.skipTo(after);
      const page = await cursor.page(limit);
      if (page.nextAfter === null) cursor.end();
      else this.#keep(uid, cursor);
      return page;
    } catch (thrown) {
      cursor.end();
      throw thrown;
    } finally {
      clearTimeout(late);
    }
  }

  /** One of other words of the operator's is not found, and ends by itself. */
  #take(uid: string, scope: string, after: string): Cursor | undefined {
    const cursors = this.#cursors.get(uid) ?? [];
    const index = cursors.findIndex((each) => each.last === after && each.scope === scope);
    const [found] = index < 0 ? [] : cursors.splice(index, 1);
    clearTimeout(found?.timer);
    if (!found?.old) return found;
    found.end();
    return undefined;
  }

  #keep(uid: string, cursor: Cursor): void {
    const cursors = this.#cursors.get(uid) ?? [];
    this.#cursors.set(uid, cursors);
    cursors.push(cursor);
    if (cursors.length > partnerImageLimits.cursorsPerPartner) cursors.shift()?.end();
    cursor.timer = setTimeout(() => {
      const index = cursors.indexOf(cursor);
      if (index >= 0) cursors.splice(index, 1);
      cursor.end();
    }, partnerImageLimits.cursorIdleMs).unref();
  }
}
