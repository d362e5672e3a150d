/** What all routes share: the caller, the links of answers, and the bodies of requests. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authentication, Json } from './authentication.ts';
import { member } from './authentication.ts';
import { badRequest, expecting } from './errors.ts';
import { type Caller, callerOf, enforce } from './policy.ts';
import type { KeystoneState } from './state.ts';
import type { Tokens } from './tokens.ts';

export interface Context {
  readonly app: FastifyInstance;
  readonly state: KeystoneState;
  readonly tokens: Tokens;
  readonly authentication: Authentication;
  /** URL up to and including `/v3`; known once the server listens. */
  readonly base: () => string;
}

/** The caller, once the rule of the action is met. */
export function authorise(context: Context, request: FastifyRequest, action: string, userId?: string): Caller {
  const caller = callerOf(context.tokens, request.headers['x-auth-token']);
  enforce(caller, action, userId);
  return caller;
}

export const parameter = (request: FastifyRequest, name: string): string =>
  (request.params as Record<string, string>)[name] ?? '';

export const search = (request: FastifyRequest): Readonly<Record<string, string | undefined>> =>
  request.query as Record<string, string | undefined>;

/** `{"user": {...}}` of a request. */
export function bodyOf(request: FastifyRequest, key: string): Json {
  return member((request.body ?? {}) as Json, key, 'request body');
}

export function requiredText(body: Json, name: string): string {
  const value = body[name];
  if (value === undefined) throw badRequest(`'${name}' is a required property`);
  if (typeof value !== 'string' || value.trim() === '')
    throw badRequest(`Invalid input for field '${name}': ${JSON.stringify(value)} does not match '[\\\\S]+'`);
  return value;
}

export const optionalText = (body: Json, name: string): string | undefined =>
  typeof body[name] === 'string' ? body[name] : undefined;

/** A list as the API shows it: never cut into pages, as with Keystone's SQL driver. */
export function showList(base: string, request: FastifyRequest, key: string, items: readonly unknown[]) {
  return { [key]: items, links: { next: null, self: base + request.url.replace(/^\/v3/, ''), previous: null } };
}

/** Keystone's complaint about a body that is not JSON. */
export const notJson = () => expecting('valid JSON', 'request body');
