/** A real Glance behind the facade, and users of the partner. */
import { expect } from 'chai';
import type { Federation } from './federation.ts';
import type { Glance } from './glance.ts';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

interface Request {
  readonly type?: string;
  readonly body?: string;
}

export function glanceCases(setting: () => { readonly federation: Federation; readonly glance: Glance }): void {
  async function call(token: string, method: string, path: string, { type, body }: Request = {}): Promise<Answer> {
    const answer = await fetch(`${setting().glance.url}${path}`, {
      method,
      headers: { 'x-auth-token': token, ...(type && { 'content-type': type }) },
      body: body ?? null,
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true;
    return { status: answer.status, body: isJson ? JSON.parse(text) : { text } };
  }
  const create = (token: string, image: object) =>
    call(token, 'POST', '/v2/images', { type: 'application/json', body: JSON.stringify(image) });
  const change = (token: string, id: unknown, path: string, value: string) =>
    call(token, 'PATCH', `/v2/images/${id}`, {
      type: 'application/openstack-images-v2.1-json-patch',
      body: JSON.stringify([{ op: 'replace', path, value }]),
    });
  const names = async (token: string): Promise<unknown[]> => {
    const { status, body } = await call(token, 'GET', '/v2/images');
    expect(status).to.equal(200);
    return (body.images as { name: unknown }[]).map(({ name }) => name);
  };
  const raw = { disk_format: 'raw', container_format: 'bare' };

  let ann: string;
  let image: Record<string, unknown>;

  before(async () => {
    ann = `a1.east.${await setting().federation.east.login('ann', 'lab')}`;
  });

  it('refuses whoever has no good token', async () => {
    for (const token of ['', 'gAAAAAnobody', `${ann}x`])
      expect((await call(token, 'GET', '/v2/images')).status).to.equal(401);
  });

  it('lets a foreign user create an image, which the mapped project owns', async () => {
    const { status, body } = await create(ann, { name: 'of ann', ...raw });
    expect(status, JSON.stringify(body)).to.equal(201);
    image = body;
    expect(image).to.include({
      owner: setting().federation.west.projects.guests,
      visibility: 'shared',
      status: 'queued',
    });
    const data = { type: 'application/octet-stream', body: 'not much of an image' };
    expect((await call(ann, 'PUT', `/v2/images/${image.id}/file`, data)).status).to.equal(204);
    expect((await call(ann, 'GET', `/v2/images/${image.id}`)).body).to.include({
      status: 'active',
      size: data.body.length,
    });
    expect((await call(ann, 'GET', `/v2/images/${image.id}/file`)).body.text).to.equal(data.body);
  });

  it('shows a foreign user the images of the mapped project, as its own users see them, and no others', async () => {
    const { west } = setting().federation;
    const [wes, sue] = [await west.login('wes', 'guests'), await west.login('sue', 'private')];
    const other = await create(sue, { name: 'of sue', visibility: 'private', ...raw });
    expect(other.status).to.equal(201);
    expect((await create(wes, { name: 'of wes', visibility: 'private', ...raw })).status).to.equal(201);
    expect(await names(ann)).to.have.members(['of ann', 'of wes']);
    expect(await names(wes)).to.have.members(['of ann', 'of wes']);
    expect(await names(sue)).to.deep.equal(['of sue']);
    expect((await call(ann, 'GET', `/v2/images/${other.body.id}`)).status).to.equal(404);
    expect((await call(ann, 'DELETE', `/v2/images/${other.body.id}`)).status).to.equal(404);
  });

  it('refuses a foreign user what the mapped role may not do', async () => {
    expect((await create(ann, { name: 'for all', visibility: 'public', ...raw })).status, 'publish').to.equal(403);
    expect((await change(ann, image.id, '/visibility', 'public')).status, 'publish later').to.equal(403);
    const { east, west } = setting().federation;
    const owner = await create(ann, { name: 'given', owner: west.projects.private, ...raw });
    expect(owner.status, 'give away').to.equal(403);
    const rae = `a1.east.${await east.login('rae', 'archive')}`;
    expect(await names(rae)).to.include('of ann');
    expect((await create(rae, { name: 'of rae', ...raw })).status, 'create as a reader').to.equal(403);
    expect((await call(rae, 'DELETE', `/v2/images/${image.id}`)).status, 'delete as a reader').to.equal(403);
  });

  it('lets a foreign user change and delete what the mapped project owns', async () => {
    expect((await change(ann, image.id, '/name', 'renamed')).body.name).to.equal('renamed');
    expect((await call(ann, 'DELETE', `/v2/images/${image.id}`)).status).to.equal(204);
    expect(await names(ann)).to.deep.equal(['of wes']);
  });

  it('refuses a foreign user whom no rule maps', async () => {
    const eve = `a1.east.${await setting().federation.east.login('eve', 'closed')}`;
    expect((await call(eve, 'GET', '/v2/images')).status).to.equal(401);
  });
}
