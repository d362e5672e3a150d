/** All images of a Glance, page by page. */
import { AllianceError } from '../core/errors.ts';
import { parsePage } from './glanceBodies.ts';
import { isOversized, malformed, statusError } from './glanceErrors.ts';
import type { GlanceAnswer, GlanceHttp } from './glanceHttp.ts';
import type { ListCall, StoredImage } from './imageStore.ts';

/** Only the query of a link to the next page is taken: where to ask is ours to say. */
function nextSearch(label: string, next: string | null | undefined): string | null {
  if (next === null || next === undefined) return null;
  const base = 'http://glance.invalid';
  if (!URL.canParse(next, base)) throw malformed(label, 'the link to the next page is no URL.');
  return new URL(next, base).search || null;
}

/** Glance says 400, older ones 404, where the image is gone that a page was to follow. */
const isGoneMarker = (status: number): boolean => status === 400 || status === 404;

function withLimit(search: string, limit: number): string {
  const query = new URLSearchParams(search);
  query.set('limit', String(limit));
  return `?${query}`;
}

/** Images may have so many properties that a page of the usual length has no room for them; then shorter ones are asked for, for a while. */
function createPages(http: GlanceHttp, call: ListCall): (search: string) => Promise<GlanceAnswer> {
  const { pageImages, pageBytes, pageShrinks } = http.limits;
  let most = pageImages;
  return async (search) => {
    for (;;) {
      const query = most < pageImages ? withLimit(search, most) : search;
      const request = { method: 'GET', path: `/images${query}`, repeatable: true, signal: call.signal } as const;
      try {
        const answer = await http.send(request, pageBytes);
        most = Math.min(pageImages, most * 2);
        return answer;
      } catch (thrown) {
        if (!isOversized(thrown) || most <= 1) throw thrown;
        most = Math.ceil(most / pageShrinks);
      }
    }
  };
}

/** Lists with one query from the first page on; images that `seen` knows are left out, and the others added to it. */
async function* walk(
  http: GlanceHttp,
  first: string,
  seen: Set<string>,
  call: ListCall,
): AsyncGenerator<readonly StoredImage[], 'complete' | 'marker gone'> {
  const asked = new Set<string>();
  const { label, limits } = http;
  const ask = createPages(http, call);
  for (let search: string | null = first; search !== null; ) {
    if (asked.has(search)) throw malformed(label, 'its pages lead round in a circle.');
    if (asked.size >= limits.pages) throw malformed(label, `a list of more than ${limits.pages} pages.`);
    const isFirst = asked.size === 0;
    asked.add(search);
    const answer = await ask(search);
    if (!isFirst && isGoneMarker(answer.status)) return 'marker gone';
    if (answer.status !== 200) throw statusError(label, answer.status, answer.text);
    const { images, next } = parsePage(label, answer.text);
    const fresh = images.filter(({ id }) => !seen.has(id));
    for (const { id } of fresh) seen.add(id);
    if (fresh.length > 0) yield fresh;
    // Also after an empty page, for it is not the last one before the service says so.
    search = nextSearch(label, next);
  }
  return 'complete';
}

/**
 * Hidden ones are a list of their own in Glance. Community images of other projects are not listed, as they are not in Glance unless
 * one asks for them: anybody may make as many of them as he likes.
 */
export async function* listImages(http: GlanceHttp, call: ListCall): AsyncGenerator<readonly StoredImage[]> {
  const { label, limits } = http;
  const seen = new Set<string>();
  // One that begins so would be a list of names to Glance.
  const named = call.name === undefined || call.name.startsWith('in:') ? '' : `&name=${encodeURIComponent(call.name)}`;
  for (const filter of ['', '&os_hidden=true']) {
    const first = `?limit=${limits.pageImages}${named}${filter}`;
    for (let restarts = 0; (yield* walk(http, first, seen, call)) !== 'complete'; restarts += 1)
      if (restarts >= limits.listingRestarts)
        throw new AllianceError('glance_unreachable', {
          details: `${label}: images vanish faster than they are listed.`,
        });
  }
}
