/** The Identity API as tests speak it: raw HTTP with fetch, nothing of ours in between. */

/** A Keystone that runs, real or sandbox. */
export interface RunningKeystone {
  /** Ends with `/v3`. */
  readonly url: string;
  readonly region: string;
  /** Of the user admin, domain Default, project admin. */
  readonly adminPassword: string;
  stop(): Promise<void>;
}

export type JsonObject = Record<string, unknown>;

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** A value within the JSON body: `at('token.user.name')`, `at('services.0')`; undefined where there is none. */
  at(path: string): unknown;
}

function valueAt(body: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as JsonObject | undefined)?.[key], body);
}

export interface ApiRequest {
  readonly token?: string;
  readonly subject?: string;
  readonly body?: unknown;
}

export type KeystoneApi = ReturnType<typeof createKeystoneApi>;

export const inDefault = (name: string) => ({ name, domain: { id: 'default' } });

/** `POST /v3/auth/tokens` by password. */
export const passwordLogin = (name: string, password: string, scope?: unknown) => ({
  auth: {
    identity: { methods: ['password'], password: { user: { ...inDefault(name), password } } },
    ...(scope !== undefined && { scope }),
  },
});

export function createKeystoneApi(url: string) {
  async function call(method: string, path: string, { token, subject, body }: ApiRequest = {}): Promise<ApiAnswer> {
    const answer = await fetch(url + path, {
      method,
      headers: {
        ...(token !== undefined && { 'x-auth-token': token }),
        ...(subject !== undefined && { 'x-subject-token': subject }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      redirect: 'manual',
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, at: (where) => valueAt(JSON.parse(text), where) };
  }

  /** Like `call`, for steps that must succeed. */
  async function must(method: string, path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const answer = await call(method, path, request);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`);
    return answer;
  }

  async function login(body: unknown): Promise<string> {
    return (await must('POST', '/auth/tokens', { body })).headers.get('x-subject-token')!;
  }

  /** Makes one resource and returns its body. */
  async function create(token: string, kind: string, values: JsonObject) {
    const made = (await must('POST', `/${kind}s`, { token, body: { [kind]: values } })).at(kind);
    return made as JsonObject & { readonly id: string };
  }

  async function roleId(token: string, name: string): Promise<string> {
    const known = (await must('GET', `/roles?name=${name}`, { token })).at('roles.0.id');
    return typeof known === 'string' ? known : (await create(token, 'role', { name })).id;
  }

  /** Gives a role, which is made if it is missing. */
  async function grant(token: string, projectId: string, userId: string, role: string): Promise<void> {
    await must('PUT', `/projects/${projectId}/users/${userId}/roles/${await roleId(token, role)}`, { token });
  }

  return { call, must, login, create, roleId, grant };
}
