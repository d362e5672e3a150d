/** The Image API as tests speak it: raw HTTP with fetch, nothing of ours in between. */
import { createHash } from 'node:crypto';
import { createKeystoneApi, inDefault, passwordLogin, type RunningKeystone } from './keystoneApi.ts';

export type ImageBody = Record<string, unknown> & { readonly id: string; readonly name: string };

/** Some of what an image can be. */
export interface WantedImage {
  readonly name: string;
  readonly content: Buffer;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

export interface ImageApi {
  /** Of the service's own administrator. */
  readonly token: string;
  make(image: WantedImage): Promise<ImageBody>;
  /** All of them, in no order. */
  list(): Promise<ImageBody[]>;
  /** Hex SHA-512 of what the service serves. */
  sha512(id: string): Promise<string>;
}

/** `glanceUrl`: without a version. */
export async function createImageApi(glanceUrl: string, keystone: RunningKeystone): Promise<ImageApi> {
  const token = await createKeystoneApi(keystone.url).login(
    passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }),
  );
  async function must(method: string, path: string, type?: string, body?: Buffer | string): Promise<Response> {
    const answer = await fetch(`${glanceUrl}/v2${path}`, {
      method,
      headers: { 'x-auth-token': token, ...(type !== undefined && { 'content-type': type }) },
      body: body ?? null,
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
    return answer;
  }
  const get = async (id: string) => (await (await must('GET', `/images/${id}`)).json()) as ImageBody;
  return {
    token,
    make: async ({ name, content, attributes }) => {
      const wanted = { name, visibility: 'public', disk_format: 'raw', container_format: 'bare', ...attributes };
      const made = (await (
        await must('POST', '/images', 'application/json', JSON.stringify(wanted))
      ).json()) as ImageBody;
      await must('PUT', `/images/${made.id}/file`, 'application/octet-stream', content);
      return get(made.id);
    },
    list: async () => {
      const found: ImageBody[] = [];
      for (let path: string | undefined = '/images?limit=100'; path !== undefined; ) {
        const page = (await (await must('GET', path)).json()) as { images: ImageBody[]; next?: string };
        found.push(...page.images);
        path = page.next?.replace(/^\/v2/, '');
      }
      return found;
    },
    sha512: async (id) => {
      const hash = createHash('sha512');
      for await (const chunk of (await must('GET', `/images/${id}/file`)).body!) hash.update(chunk);
      return hash.digest('hex');
    },
  };
}
