/** One text for one service, however its catalogs write its URL: what is unfinished there is found again by it. Pure. */
export function placeOf(endpoint: string): string {
  if (!URL.canParse(endpoint)) return endpoint;
  // Without the scheme, and so without its default port: what ends TLS stands before the same service.
  const { host, pathname } = new URL(endpoint);
  return (
    host +
    pathname
      .replace(/\/+$/, '')
      .replace(/\/v2(\.\d+)?$/, '')
      .replace(/\/+$/, '')
  );
}
