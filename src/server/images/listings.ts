/** Listings that partners are in the middle of: each goes on where its last page ended, as long as that is not long ago. */
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import { type SeenImage, wireBytes } from './encode.ts';

export interface ListedPage {
  readonly images: readonly SeenImage[];
  /** Where the next page begins; null: this was the last one. */
  readonly nextAfter: string | null;
}

/** What one listing reads from: all that its partner may see, in an order that stays. */
export type ListingSource = () => AsyncIterator<SeenImage>;

class Cursor {
  readonly #images: AsyncIterator<SeenImage>;
  /** Read, but not told yet. */
  #next: SeenImage | undefined;
  /** Id of the last one that was told. */
  last: string | undefined;
  timer: NodeJS.Timeout | undefined;

  constructor(images: AsyncIterator<SeenImage>) {
    this.#images = images;
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
      const details = 'There is no image of that id in the listing any more.';
      if (!seen) throw new AllianceError('bad_request', { field: 'after', details });
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

  end(): void {
    clearTimeout(this.timer);
    this.#images.return?.().catch(() => undefined);
  }
}

export class Listings {
  /** By partner. A cursor that is in use is not among them. */
  readonly #cursors = new Map<string, { readonly region: string; readonly cursor: Cursor }[]>();

  async page(
    uid: string,
    { region, after, limit }: { readonly region: string; readonly after: string | undefined; readonly limit: number },
    source: ListingSource,
  ): Promise<ListedPage> {
    let cursor = after === undefined ? undefined : this.#take(uid, region, after);
    if (!cursor) {
      cursor = new Cursor(source());
      if (after !== undefined) await cursor.skipTo(after);
    }
    const page = await cursor.page(limit);
    if (page.nextAfter === null) cursor.end();
    else this.#keep(uid, region, cursor);
    return page;
  }

  close(): void {
    for (const cursors of this.#cursors.values()) for (const { cursor } of cursors) cursor.end();
    this.#cursors.clear();
  }

  #take(uid: string, region: string, after: string): Cursor | undefined {
    const cursors = this.#cursors.get(uid) ?? [];
    const index = cursors.findIndex((each) => each.region === region && each.cursor.last === after);
    const [found] = index < 0 ? [] : cursors.splice(index, 1);
    clearTimeout(found?.cursor.timer);
    return found?.cursor;
  }

  #keep(uid: string, region: string, cursor: Cursor): void {
    const cursors = this.#cursors.get(uid) ?? [];
    this.#cursors.set(uid, cursors);
    cursors.push({ region, cursor });
    if (cursors.length > partnerImageLimits.cursorsPerPartner) cursors.shift()?.cursor.end();
    cursor.timer = setTimeout(() => {
      const index = cursors.findIndex((each) => each.cursor === cursor);
      if (index >= 0) cursors.splice(index, 1);
      cursor.end();
    }, partnerImageLimits.cursorIdleMs).unref();
  }
}
