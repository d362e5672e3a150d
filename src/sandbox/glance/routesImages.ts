/** `/v2/images` and each of them, its tags and actions. */
import { callerOf } from './callers.ts';
import { GlanceError, notFound } from './errors.ts';
import { imageBody } from './image.ts';
import { listImages } from './listing.ts';
import { applyPatch } from './patch.ts';
import { assertMayChange } from './policy.ts';
import { type ImageParams, objectOf, type RouteContext } from './routes.ts';

const patchType = 'application/openstack-images-v2.1-json-patch';

export function addImageRoutes({ app, state, pageSizes }: RouteContext): void {
  app.get('/v2/images', async (request) => {
    const query = new URL(request.url, 'http://glance.invalid').searchParams;
    return listImages(callerOf(request), state.images.values(), query, pageSizes);
  });

  app.post('/v2/images', async (request, reply) => {
    const image = state.create(callerOf(request), objectOf(request.body));
    return reply
      .code(201)
      .headers({ location: `/v2/images/${image.id}`, 'openstack-image-import-methods': 'glance-direct,web-download' })
      .send(imageBody(image));
  });

  app.get<ImageParams>('/v2/images/:id', async (request) =>
    imageBody(state.find(callerOf(request), request.params.id)),
  );

  app.patch<ImageParams>('/v2/images/:id', async (request) => {
    if (request.headers['content-type'] !== patchType)
      throw new GlanceError(415, `The server accepts ${patchType} only.`);
    const caller = callerOf(request);
    const image = state.find(caller, request.params.id);
    assertMayChange(caller, image, 'modify_image');
    applyPatch(caller, image, request.body);
    state.touch(image);
    return imageBody(image);
  });

  app.delete<ImageParams>('/v2/images/:id', async (request, reply) => {
    await state.remove(callerOf(request), request.params.id);
    return reply.code(204).send();
  });

  for (const action of ['deactivate', 'reactivate'] as const)
    app.post<ImageParams>(`/v2/images/:id/actions/${action}`, async (request, reply) => {
      state.act(callerOf(request), request.params.id, action);
      return reply.code(204).send();
    });

  interface Tagged {
    readonly Params: { readonly id: string; readonly tag: string };
  }
  app.put<Tagged>('/v2/images/:id/tags/:tag', async (request, reply) => {
    const { id, tag } = request.params;
    const image = state.find(callerOf(request), id);
    assertMayChange(callerOf(request), image, 'modify_image');
    if (!image.tags.includes(tag)) image.tags.push(tag);
    state.touch(image);
    return reply.code(204).send();
  });
  app.delete<Tagged>('/v2/images/:id/tags/:tag', async (request, reply) => {
    const { id, tag } = request.params;
    const image = state.find(callerOf(request), id);
    assertMayChange(callerOf(request), image, 'modify_image');
    if (!image.tags.includes(tag)) throw notFound(id);
    image.tags = image.tags.filter((each) => each !== tag);
    state.touch(image);
    return reply.code(204).send();
  });
}
