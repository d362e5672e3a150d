/** Whose a request is: tokens are checked at a Keystone, as keystonemiddleware does. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AuthToken, type AuthTokenOptions } from '../service/authToken.ts';
import { KeystoneUnavailable } from '../service/login.ts';
import { errorAnswer } from './errors.ts';
import type { Caller } from './policy.ts';

const callers = new WeakMap<object, Caller>();

export const callerOf = (request: FastifyRequest): Caller => callers.get(request)!;

const refusal = errorAnswer(
  401,
  'This server could not verify that you are authorized to access the document you requested.',
  'application/json',
);

export function addAuthentication(app: FastifyInstance, options: AuthTokenOptions): void {
  const auth = new AuthToken(options);
  app.addHook('onRequest', async (request, reply) => {
    const token = request.headers['x-auth-token'];
    try {
      const body = typeof token === 'string' ? await auth.check(token.trim()) : null;
      if (!body)
        return reply
          .code(401)
          .header('www-authenticate', `Keystone uri="${options.authUrl}"`)
          .type(refusal.type)
          .send(refusal.body);
      callers.set(request, {
        projectId: body.project?.id ?? '',
        roles: new Set((body.roles ?? []).map(({ name }) => name)),
      });
    } catch (thrown) {
      if (!(thrown instanceof KeystoneUnavailable)) throw thrown;
      return reply
        .code(503)
        .send({ error: { message: 'The Keystone service is temporarily unavailable.', code: 503 } });
    }
  });
}
