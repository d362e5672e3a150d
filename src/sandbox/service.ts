/**
 * A stock OpenStack service in small, for the demo and the tests: it takes tokens as every service does, says who its caller is, and
 * keeps a list of words for each project. One URL, `authUrl`, is all that it knows of the cloud around it.
 */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { systemClock } from '../core/clock.ts';
import { AuthToken, type AuthTokenOptions, type TokenBody } from './service/authToken.ts';
import { KeystoneUnavailable } from './service/login.ts';

export interface SandboxServiceOptions
  extends Omit<AuthTokenOptions, 'clock'>,
    Partial<Pick<AuthTokenOptions, 'clock'>> {
  readonly host?: string;
  /** 0, the default, is any free port. */
  readonly port?: number;
}

/** What `GET /` answers. */
export interface WhoAmI {
  readonly user: string;
  readonly project: string | null;
  readonly roles: readonly string[];
}

export interface SandboxService {
  readonly url: string;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
/** Of one word, and of the list of one project. */
const [wordLength, listLength] = [255, 100];

const rolesOf = ({ roles = [] }: TokenBody) => roles.map(({ name }) => name);

const callers = new WeakMap<object, TokenBody>();

function guard(app: FastifyInstance, auth: AuthToken): void {
  app.addHook('onRequest', async (request, reply) => {
    const token = request.headers['x-auth-token'];
    try {
      const caller = typeof token === 'string' ? await auth.check(token.trim()) : null;
      if (!caller) return reply.code(401).send({ error: 'The request you have made requires authentication.' });
      callers.set(request, caller);
    } catch (thrown) {
      if (!(thrown instanceof KeystoneUnavailable)) throw thrown;
      return reply.code(503).send({ error: 'The Keystone service is temporarily unavailable.' });
    }
  });
}

function addRoutes(app: FastifyInstance): void {
  const lists = new Map<string, string[]>();
  const listOf = ({ project }: TokenBody): string[] => {
    const id = project?.id ?? '';
    const known = lists.get(id) ?? [];
    lists.set(id, known);
    return known;
  };
  app.get('/', async (request): Promise<WhoAmI> => {
    const { user, project, ...token } = callers.get(request)!;
    return { user: user.name, project: project?.name ?? null, roles: rolesOf({ user, ...token }) };
  });
  app.get('/words', async (request) => ({ words: listOf(callers.get(request)!) }));
  app.post('/words', async (request, reply) => {
    const caller = callers.get(request)!;
    if (!rolesOf(caller).includes('member')) return reply.code(403).send({ error: 'The role member is needed.' });
    const { word } = (request.body ?? {}) as { readonly word?: unknown };
    const list = listOf(caller);
    if (typeof word !== 'string' || word.length > wordLength || list.length >= listLength)
      return reply.code(400).send({ error: 'A short text as "word" is needed, and room for it.' });
    list.push(word);
    return reply.code(201).send({ words: list });
  });
}

export async function startSandboxService(options: SandboxServiceOptions): Promise<SandboxService> {
  const app = fastify({ forceCloseConnections: true });
  guard(app, new AuthToken({ clock: systemClock, ...options }));
  addRoutes(app);
  await app.listen({ host: options.host ?? host, port: options.port ?? 0 });
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://${host}:${port}`, stop: () => app.close() };
}
