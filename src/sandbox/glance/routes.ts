import type { FastifyInstance } from 'fastify';
import type { Json } from './attributes.ts';
import { badRequest } from './errors.ts';
import type { Faults } from './faults.ts';
import type { PageSizes } from './listing.ts';
import type { GlanceState } from './state.ts';

/** What every group of routes is given. */
export interface RouteContext {
  readonly app: FastifyInstance;
  readonly state: GlanceState;
  readonly faults: Faults;
  readonly pageSizes: PageSizes;
}

export interface ImageParams {
  readonly Params: { readonly id: string };
}

export function objectOf(body: unknown): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badRequest('Body expected in request.');
  return body as Json;
}
