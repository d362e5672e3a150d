/** What keystonemiddleware puts into the headers of a service's request when a token was good. */
interface Named {
  readonly id?: string | null;
  readonly name?: string | null;
}
type Owned = Named & { readonly domain?: Named | null };

interface Token {
  readonly user: Owned;
  readonly project?: Owned | null;
  readonly roles?: readonly Named[];
  readonly is_admin_project?: boolean;
}

/** `body` is that of a token of this cloud. */
export function middlewareHeaders(body: string): Readonly<Record<string, string>> {
  const {
    user,
    project,
    roles = [],
    is_admin_project: isAdminProject = true,
  } = (JSON.parse(body) as { token: Token }).token;
  const headers: Record<string, string> = { 'X-Identity-Status': 'Confirmed' };
  const add = (name: string, value: string | null | undefined): void => {
    if (value !== null && value !== undefined) headers[name] = value;
  };
  const addOwned = (kind: string, owned: Owned | null | undefined): void => {
    add(`X-${kind}-Id`, owned?.id);
    add(`X-${kind}-Name`, owned?.name);
    add(`X-${kind}-Domain-Id`, owned?.domain?.id);
    add(`X-${kind}-Domain-Name`, owned?.domain?.name);
  };
  addOwned('User', user);
  addOwned('Project', project);
  add('X-Roles', roles.map(({ name }) => name ?? '').join(','));
  add('X-Is-Admin-Project', isAdminProject ? 'True' : 'False');
  return headers;
}
