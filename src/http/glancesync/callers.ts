/** Who may use the REST API: holders of a token of this cloud's Keystone with the configured role. */
import type { FastifyRequest } from 'fastify';
import type { Keystone } from '../../lproxy/keystone.ts';
import { RestError, unauthorized } from './answers.ts';

export interface Caller {
  /** Id of the user, for the log. */
  readonly userId: string;
}

/** Keystone tells roles apart without regard to case, and so do the policies of its services. */
const folded = (name: string): string => name.normalize('NFKC').toLowerCase();

/**
 * The token goes to Keystone with each request, and is kept nowhere: one that was revoked a moment ago is refused.
 *
 * @throws RestError 401; AllianceError where Keystone cannot say
 */
export async function identify(
  request: FastifyRequest,
  keystone: Pick<Keystone, 'validateToken'>,
  role: string,
): Promise<Caller> {
  const token = request.headers['x-auth-token'];
  if (typeof token !== 'string' || token === '') throw new RestError(401, `${unauthorized}: X-Auth-Token is missing`);
  const answer = await keystone.validateToken(token, { catalog: false });
  if (answer.status === 'invalid') throw new RestError(401, `${unauthorized}: the token is not valid`);
  const { roles, user, project } = answer.token;
  // The same role on a domain, or on the system, says nothing of images, which are of projects.
  if (project === null) throw new RestError(401, `${unauthorized}: the token is for no project`);
  if (!roles.some(({ name }) => folded(name) === folded(role)))
    throw new RestError(401, `${unauthorized}: the token has not the role that is needed`);
  return { userId: user.id };
}
