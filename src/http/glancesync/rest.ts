/**
 * GlanceSync's REST API, version 1, as its documentation has it: the state of images in a region, syncs of it, and what became of them.
 * What is different here is in docs/images-rest.md.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import PQueue from 'p-queue';
import { toAllianceError } from '../../core/errors.ts';
import { imageRestLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import { badMethod, badRegion, notFound, RestError, restErrorOf, sendError } from './answers.ts';
import { type Caller, identify } from './callers.ts';
import { openApi } from './openapi.ts';
import type { SyncService } from './service.ts';

export interface GlancesyncOptions {
  readonly keystone: Pick<Keystone, 'validateToken'>;
  /** Name of the role that callers need. */
  readonly role: string;
  readonly service: SyncService;
  /** Of this program. */
  readonly version: string;
  /** When this process began to serve, UTC epoch milliseconds. */
  readonly startedAt: number;
  readonly log: Logger;
}

interface Asked {
  readonly caller: Caller;
  readonly region: string;
  readonly taskId: string;
  /** `?image=`; null: all. */
  readonly image: string | null;
  /** Fires when whoever asked is gone, or when it takes too long. */
  readonly signal: AbortSignal;
}

type Answer = (asked: Asked) => Promise<unknown>;

export const glancesyncPrefix = '/glancesync';

/** Versions and dates as the original tells them; this one serves its version 1. */
const describeApi = ({ version, startedAt }: GlancesyncOptions) => {
  const time = new Date(startedAt).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    id: 'v1.0',
    owner: 'Alliance',
    status: 'SUPPORTED',
    version,
    updated: '2015-11-24T00:00:00Z',
    runningfrom: time,
    href: `${glancesyncPrefix}/openapi.json`,
  };
};

/** What the original's paths allow; anything else there is a bad method. */
const methods: readonly (readonly [path: RegExp, allow: string])[] = [
  [/^\/glancesync\/?$/, 'GET, HEAD'],
  [/^\/glancesync\/openapi\.json$/, 'GET, HEAD'],
  [/^\/glancesync\/regions\/[^/]+$/, 'GET, HEAD, POST'],
  [/^\/glancesync\/regions\/[^/]+\/tasks\/[^/]+$/, 'DELETE, GET, HEAD'],
];

function refuseRoute(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?')[0] ?? '';
  const allow = methods.find(([form]) => form.test(path))?.[1];
  if (allow === undefined || allow.split(', ').includes(request.method))
    return sendError(reply, new RestError(404, notFound));
  void reply.header('allow', allow);
  return sendError(reply, new RestError(405, badMethod));
}

/** At most so many at a time. */
class Room {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#most) throw new RestError(503, 'Service unavailable: too many requests at a time.');
    this.#taken++;
    try {
      return await work();
    } finally {
      this.#taken--;
    }
  }
}

const nameOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 0 && value.length <= imageRestLimits.nameCharacters ? value : undefined;

function readQuery(query: unknown): string | null {
  const { image } = query as { image?: unknown };
  if (image === undefined || image === '') return null;
  const name = nameOf(image);
  if (name === undefined) throw new RestError(400, 'Bad request: image is given once, with at most 255 characters');
  return name;
}

/** A plugin of fastify, to be registered under `glancesyncPrefix`. */
export function serveGlancesync(app: FastifyInstance, options: GlancesyncOptions): void {
  const { keystone, role, service, log } = options;
  const requests = new Room(imageRestLimits.inFlight);
  const listings = new Room(imageRestLimits.listings);
  /** Its line is no longer than there are requests. */
  const asking = new PQueue({ concurrency: imageRestLimits.asking });

  const answering = (answer: Answer) => (request: FastifyRequest, reply: FastifyReply) =>
    requests.hold(async () => {
      const caller = await asking.add(() => identify(request, keystone, role));
      const params = request.params as { region?: string; task?: string };
      const region = nameOf(params.region);
      if (region === undefined) throw new RestError(410, badRegion);
      const gone = new AbortController();
      // Meanwhile nothing comes or goes, which elsewhere is the sign of a caller who has lost interest.
      const { socket } = request.raw;
      const idleMs = socket.timeout ?? 0;
      socket.setTimeout(imageRestLimits.listingMs);
      reply.raw.once('close', () => {
        gone.abort();
        socket.setTimeout(idleMs);
      });
      const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(imageRestLimits.listingMs)]);
      const taskId = nameOf(params.task) ?? '';
      return reply.send(await answer({ caller, region, taskId, image: readQuery(request.query), signal }));
    });

  /** A region that is not there is told before a task that is not. */
  const absent = async (region: string): Promise<never> => {
    await service.assertRegion(region);
    throw new RestError(404, notFound);
  };

  const status: Answer = ({ region, image, signal }) =>
    listings.hold(async () => {
      const images = await service.status(region, image, signal);
      if (image !== null && images.length === 0) throw new RestError(404, notFound);
      return { images };
    });

  const start: Answer = async ({ caller, region, image }) => {
    const { taskId, status: state } = await service.start(region, image);
    log.info({ user: caller.userId, region, execution: taskId }, 'A sync was asked for by REST.');
    return { taskId, status: state };
  };

  const show: Answer = async ({ region, taskId }) => (await service.task(region, taskId)) ?? absent(region);

  const forget: Answer = async ({ caller, region, taskId }) => {
    const outcome = await service.forget(region, taskId);
    if (outcome === 'unknown') return absent(region);
    if (outcome === 'running') throw new RestError(400, 'Bad request: the task is still running');
    log.info({ user: caller.userId, region, execution: taskId }, 'A sync was forgotten by REST.');
    return '';
  };

  // There are no bodies; what comes is bounded, and of any type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, _body, done) => done(null, null));
  app.setNotFoundHandler(refuseRoute);
  app.setErrorHandler((thrown: unknown, request, reply) => sendError(reply, asRestError(thrown, request, log)));
  app.get('/', async () => describeApi(options));
  const document = openApi(options.version);
  app.get('/openapi.json', async () => document);
  app.get('/regions/:region', answering(status));
  app.post('/regions/:region', answering(start));
  app.get('/regions/:region/tasks/:task', answering(show));
  app.delete('/regions/:region/tasks/:task', answering(forget));
}

/** Fastify's own refusals (a body too large, a path that cannot be decoded) have a status; nothing else thrown does. */
function asRestError(thrown: unknown, request: FastifyRequest, log: Logger): RestError {
  if (thrown instanceof RestError) return thrown;
  const { statusCode } = thrown as { statusCode?: unknown };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new RestError(400, 'Bad request: it cannot be read');
  const error = toAllianceError(thrown);
  if (error.errorName !== 'region_not_found' && error.errorName !== 'token_form_refused')
    log.warn({ err: error, method: request.method, route: request.routeOptions.url }, 'A request by REST failed.');
  return restErrorOf(error);
}
