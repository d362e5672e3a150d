/** Failures on demand, before a request reaches Keystone's own code. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * down: the connection is destroyed. slow: the true answer, late. hang: never an answer. 500, 503, 401, 403: that status in
 * Keystone's form. malformed: 200 with a body that is not JSON. empty: 200 with `{}`. truncated: the connection is
 * destroyed in the middle of the body. html: 404 with a page, as a proxy would answer for a wrong path.
 */
export type FaultKind =
  | 'down'
  | 'slow'
  | 'hang'
  | '500'
  | '503'
  | '401'
  | '403'
  | 'malformed'
  | 'empty'
  | 'truncated'
  | 'html';

export interface FaultMatch {
  readonly method?: string;
  /** Against the path with its query. */
  readonly path?: RegExp;
}

export interface FaultOptions {
  readonly match?: FaultMatch;
  /** Of `slow`. */
  readonly delayMs?: number;
  /** Of `503`. */
  readonly retryAfterS?: number;
}

interface Fault extends FaultOptions {
  readonly kind: FaultKind;
  /** How many requests it still hits. */
  left: number;
}

const titles = new Map([
  ['401', ['Unauthorized', 'The request you have made requires authentication.']],
  ['403', ['Forbidden', 'You are not authorized to perform the requested action.']],
  ['500', ['Internal Server Error', 'An unexpected error prevented the server from fulfilling your request.']],
  ['503', ['Service Unavailable', 'The service is currently unavailable.']],
]);

export class Faults {
  #queue: Fault[] = [];
  #hits = 0;

  /** Hits the next `count` (1 by default) requests that match. */
  next(kind: FaultKind, { count = 1, ...options }: FaultOptions & { readonly count?: number } = {}): void {
    this.#queue.push({ ...options, kind, left: count });
  }

  /** Hits every matching request until `clear`. */
  always(kind: FaultKind, options: FaultOptions = {}): void {
    this.next(kind, { ...options, count: Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#queue = [];
  }

  /** How many requests were hit so far. */
  get hits(): number {
    return this.#hits;
  }

  /** Applies the first fault that matches. Resolves to true when the request has been dealt with. */
  async apply(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const fault = this.#take(request);
    if (!fault) return false;
    this.#hits += 1;
    const { kind } = fault;
    if (kind === 'slow') {
      await new Promise((resolve) => setTimeout(resolve, fault.delayMs ?? 1000).unref());
      return false;
    }
    const error = titles.get(kind);
    if (error) {
      if (fault.retryAfterS !== undefined) reply.header('retry-after', String(fault.retryAfterS));
      const [title, message] = error;
      reply.code(Number(kind)).send({ error: { code: Number(kind), message, title } });
    } else if (kind === 'malformed') reply.code(200).type('application/json').send('{"token": {"expires_at": ');
    else if (kind === 'empty') reply.code(200).send({});
    else if (kind === 'html') reply.code(404).type('text/html').send('<html><body>Not here</body></html>');
    else this.#breakOff(kind, reply);
    return true;
  }

  #breakOff(kind: FaultKind, reply: FastifyReply): void {
    reply.hijack();
    if (kind === 'down') reply.raw.socket?.destroy();
    if (kind === 'truncated') {
      reply.raw.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      reply.raw.write('{"token":', () => reply.raw.socket?.destroy());
    }
  }

  #take(request: FastifyRequest): Fault | undefined {
    const fault = this.#queue.find(
      ({ match }) =>
        (match?.method === undefined || match.method === request.method) && (match?.path?.test(request.url) ?? true),
    );
    if (fault && --fault.left <= 0) this.#queue = this.#queue.filter((each) => each !== fault);
    return fault;
  }
}
