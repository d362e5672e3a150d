/** `GET /v2/images`: which images, in what order, and what the next page is. */
import { badRequest } from './errors.ts';
import { type GlanceImage, imageBody } from './image.ts';
import { type Caller, isAdmin } from './policy.ts';

/** `limit_param_default` and `api_limit_max`. */
export interface PageSizes {
  readonly usual: number;
  readonly most: number;
}

const sortKeys = ['name', 'status', 'container_format', 'disk_format', 'size', 'id', 'created_at', 'updated_at'];
const filterKeys = ['name', 'status', 'container_format', 'disk_format', 'owner', 'id', 'checksum', 'os_hash_value'];

function isListed(caller: Caller, image: GlanceImage, query: URLSearchParams): boolean {
  const own = image.owner === caller.projectId;
  const visibility = query.get('visibility');
  if (visibility === null && image.visibility === 'community' && !own) return false;
  if (visibility !== null && visibility !== 'all' && image.visibility !== visibility) return false;
  if (own || isAdmin(caller) || image.visibility === 'public' || image.visibility === 'community') return true;
  const status = image.visibility === 'shared' ? image.members.get(caller.projectId)?.status : undefined;
  const wanted = query.get('member_status') ?? 'accepted';
  return status !== undefined && (wanted === 'all' || wanted === status);
}

const otherWords = new Set(
  'limit marker sort sort_key sort_dir visibility member_status os_hidden tag protected'.split(' '),
);

function matcher(query: URLSearchParams): (image: GlanceImage) => boolean {
  const hidden = query.get('os_hidden') === 'true';
  const isProtected = query.get('protected');
  const tags = query.getAll('tag');
  const filters = [...query].filter(([key]) => !otherWords.has(key));
  return (image) => {
    if (image.hidden !== hidden || (isProtected !== null && String(image.protected) !== isProtected)) return false;
    if (!tags.every((tag) => image.tags.includes(tag))) return false;
    if (filters.length === 0) return true;
    const body = imageBody(image);
    return filters.every(
      ([key, value]) => (filterKeys.includes(key) ? body[key] : image.properties.get(key)) === value,
    );
  };
}

/** Pairs of key and direction; always some order in the end, by the id. */
function orderOf(query: URLSearchParams): (readonly [key: string, descending: boolean])[] {
  const keys = query.getAll('sort_key');
  const directions = query.getAll('sort_dir');
  const asked =
    query
      .get('sort')
      ?.split(',')
      .map((word) => word.trim().split(':')) ??
    keys.map((key, index) => [key, directions[index] ?? directions[0] ?? 'desc']);
  const pairs = asked.length > 0 ? asked : [['created_at', directions[0] ?? 'desc']];
  const order = pairs.map(([key = '', direction = 'desc']) => {
    if (!sortKeys.includes(key))
      throw badRequest(`Invalid sort key: ${key}. It must be one of the following: ${sortKeys.join(', ')}.`);
    if (direction !== 'asc' && direction !== 'desc') throw badRequest(`Invalid sort direction: ${direction}`);
    return [key, direction === 'desc'] as const;
  });
  const last = order.at(-1)![1];
  return [...order, ['created_at', last], ['id', last]];
}

const sortValue = (image: GlanceImage, key: string): string | number => {
  if (key === 'created_at') return image.createdAt;
  if (key === 'updated_at') return image.updatedAt;
  if (key === 'id') return image.id;
  return (imageBody(image)[key] as string | number | null) ?? '';
};

function sorted(images: GlanceImage[], query: URLSearchParams): GlanceImage[] {
  const order = orderOf(query);
  const rows = images.map((image) => ({ image, values: order.map(([key]) => sortValue(image, key)) }));
  rows.sort((a, b) => {
    for (const [index, [, descending]] of order.entries()) {
      const [x, y] = [a.values[index]!, b.values[index]!];
      if (x !== y) return x < y === descending ? 1 : -1;
    }
    return 0;
  });
  return rows.map(({ image }) => image);
}

function limitOf(query: URLSearchParams, { usual, most }: PageSizes): number {
  const text = query.get('limit');
  if (text === null) return usual;
  if (!/^-?\d+$/.test(text)) throw badRequest('limit param must be an integer');
  if (Number(text) < 0) throw badRequest('limit param must be positive');
  return Math.min(Number(text), most);
}

function checkQuery(query: URLSearchParams): void {
  const visibility = query.get('visibility');
  if (visibility !== null && !['community', 'public', 'private', 'shared', 'all'].includes(visibility))
    throw badRequest(`Invalid visibility value: ${visibility}`);
  const hidden = query.get('os_hidden');
  if (hidden !== null && hidden !== 'true' && hidden !== 'false')
    throw badRequest(`Invalid value '${hidden}' for 'os_hidden' filter. Valid values are 'true' or 'false'.`);
}

/** The body of one page. @throws GlanceError 400, also where the marker is no image that is listed */
export function listImages(caller: Caller, images: Iterable<GlanceImage>, query: URLSearchParams, sizes: PageSizes) {
  checkQuery(query);
  const limit = limitOf(query, sizes);
  const matches = matcher(query);
  const found = sorted(
    [...images].filter((image) => isListed(caller, image, query) && matches(image)),
    query,
  );
  const marker = query.get('marker');
  const start = marker === null ? 0 : found.findIndex(({ id }) => id === marker) + 1;
  if (marker !== null && start === 0) throw badRequest(`No image found with ID ${marker}`);
  const page = found.slice(start, start + limit);
  const rest = new URLSearchParams(query);
  rest.delete('marker');
  const first = rest.size > 0 ? `/v2/images?${rest}` : '/v2/images';
  const body: Record<string, unknown> = { images: page.map(imageBody), first, schema: '/v2/schemas/images' };
  if (page.length > 0 && page.length === limit) {
    rest.set('marker', page.at(-1)!.id);
    body.next = `/v2/images?${rest}`;
  }
  return body;
}
