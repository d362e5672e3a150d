/** The login of syncs in tests: as the administrator of an embedded Keystone. */
export const loginOf = (authUrl: string, password: string) =>
  ({
    authUrl,
    credentials: { method: 'password', user: { name: 'admin', domain: { name: 'Default' } }, password },
    scope: { project: { name: 'admin', domain: { name: 'Default' } } },
  }) as const;
