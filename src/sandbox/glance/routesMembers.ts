/** `/v2/images/ID/members`: with whom a shared image is shared. */
import type { FastifyRequest } from 'fastify';
import { callerOf } from './callers.ts';
import { badRequest, conflict, forbidden, GlanceError, notFound } from './errors.ts';
import { type GlanceImage, type Member, memberBody } from './image.ts';
import { isAdmin, mayChange } from './policy.ts';
import { type ImageParams, objectOf, type RouteContext } from './routes.ts';

interface MemberParams {
  readonly Params: { readonly id: string; readonly member: string };
}

const statuses = ['pending', 'accepted', 'rejected'] as const;

export function addMemberRoutes({ app, state }: RouteContext): void {
  const shared = (request: FastifyRequest, id: string, what: string): GlanceImage => {
    const image = state.find(callerOf(request), id);
    if (image.visibility !== 'shared') throw forbidden(`Not allowed to ${what} members for image ${id}.`);
    return image;
  };
  const memberOf = (image: GlanceImage, projectId: string): Member => {
    const member = image.members.get(projectId);
    if (!member) throw new GlanceError(404, `${projectId} not found in the member list of the image ${image.id}.`);
    return member;
  };
  /** The owner sees all of them, a member itself. */
  const visible = (request: FastifyRequest, image: GlanceImage): Member[] => {
    const caller = callerOf(request);
    const all = isAdmin(caller) || image.owner === caller.projectId;
    return [...image.members.values()].filter(({ projectId }) => all || projectId === caller.projectId);
  };

  app.get<ImageParams>('/v2/images/:id/members', async (request) => {
    const image = shared(request, request.params.id, 'list');
    const members = visible(request, image).map((member) => memberBody(image.id, member));
    return { members, schema: '/v2/schemas/members' };
  });

  app.post<ImageParams>('/v2/images/:id/members', async (request) => {
    const image = shared(request, request.params.id, 'create');
    if (!mayChange(callerOf(request), image)) throw forbidden(`Not allowed to create members for image ${image.id}.`);
    const { member: projectId } = objectOf(request.body);
    if (typeof projectId !== 'string' || projectId === '') throw badRequest('Member to be added not specified');
    if (image.members.has(projectId)) throw conflict(`Member ${projectId} is duplicated for image ${image.id}`);
    const now = state.now();
    const member: Member = { projectId, status: 'pending', createdAt: now, updatedAt: now };
    image.members.set(projectId, member);
    return memberBody(image.id, member);
  });

  app.get<MemberParams>('/v2/images/:id/members/:member', async (request) => {
    const image = shared(request, request.params.id, 'get');
    return memberBody(image.id, memberOf(image, request.params.member));
  });

  app.put<MemberParams>('/v2/images/:id/members/:member', async (request) => {
    const image = shared(request, request.params.id, 'update');
    const member = memberOf(image, request.params.member);
    const caller = callerOf(request);
    if (!isAdmin(caller) && member.projectId !== caller.projectId)
      throw forbidden(`Not allowed to update members for image ${image.id}.`);
    const status = statuses.find((each) => each === objectOf(request.body).status);
    if (!status) throw badRequest(`Incorrect request: Status must be one of ${statuses.join(', ')}`);
    member.status = status;
    member.updatedAt = state.now();
    return memberBody(image.id, member);
  });

  app.delete<MemberParams>('/v2/images/:id/members/:member', async (request, reply) => {
    const image = shared(request, request.params.id, 'delete');
    if (!mayChange(callerOf(request), image)) throw notFound(image.id);
    image.members.delete(memberOf(image, request.params.member).projectId);
    return reply.code(204).send();
  });
}
