/** URLs of Keystone in its own answers, turned into those of the facade. What is not as expected stays as it is. */

type Json = { readonly [name: string]: unknown };

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `.../v3` and `.../v3/` of whatever origin and prefix, as the same version of the facade's. */
export function rewriteVersionUrl(url: string, root: string): string {
  const version = /\/(v\d+(?:\.\d+)?)(\/?)$/.exec(url);
  return version ? `${root}/${version[1]}${version[2]}` : url;
}

function rewriteLinks(version: unknown, root: string): void {
  if (!isObject(version)) return;
  for (const link of listOf(version.links))
    if (link.rel === 'self' && typeof link.href === 'string')
      Object.assign(link, { href: rewriteVersionUrl(link.href, root) });
}

/** Body of `GET /` (`versions.values`) or `GET /v3` (`version`). */
export function rewriteVersions(text: string, root: string): string {
  const body = parse(text);
  if (!isObject(body)) return text;
  const { version, versions } = body;
  if (!isObject(version) && !isObject(versions)) return text;
  rewriteLinks(version, root);
  if (isObject(versions)) for (const each of listOf(versions.values)) rewriteLinks(each, root);
  return JSON.stringify(body);
}

/**
 * Body of `POST /v3/auth/tokens`: services take the identity endpoint from this catalog and validate there, so that all its
 * interfaces lead to the facade.
 */
export function rewriteCatalog(text: string, root: string): string {
  const body = parse(text);
  if (!isObject(body) || !isObject(body.token)) return text;
  const identity = listOf(body.token.catalog).filter((service) => service.type === 'identity');
  const endpoints = identity.flatMap((service) => listOf(service.endpoints));
  if (endpoints.length === 0) return text;
  for (const endpoint of endpoints) Object.assign(endpoint, { url: `${root}/v3` });
  return JSON.stringify(body);
}
