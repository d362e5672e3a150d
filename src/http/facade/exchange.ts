/** One request at the facade with its answer, and what the whole facade works with. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../core/log.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import type { Upstream } from '../../lproxy/upstream.ts';
import type { Audit } from '../../model/audit.ts';
import type { ForeignTokens } from '../../token/foreign.ts';
import type { Localiser } from '../../token/localise.ts';
import type { OwnToken } from '../../token/ownTokens.ts';
import type { Arrivals } from './bodies.ts';
import type { Callers } from './callers.ts';
import type { Connections } from './connections.ts';
import type { CallerHeaders } from './headers.ts';
import type { Shares } from './shares.ts';
import type { Target } from './target.ts';
import type { ValidationRecords } from './validations.ts';

/** What the rest of the broker wants to hear of this cloud's own tokens. */
export interface OwnTokens {
  /** Keystone has just issued it. */
  issued(token: OwnToken): void;
  /** Keystone has just revoked one. */
  revoked(): void;
}

export interface Facade {
  /** To one Keystone, by what is asked: nothing that takes long keeps questions about tokens from it. */
  readonly upstreams: { readonly tokens: Upstream; readonly logins: Upstream; readonly relay: Upstream };
  /** Bodies on their way here: those that are waited for, and those that are handed on meanwhile. */
  readonly arrivals: { readonly whole: Arrivals; readonly streamed: Arrivals };
  /**
   * Room for requests, each of which has its place in one of them: questions about tokens by callers that Keystone knows, and by others;
   * what waits for partners, and what is remembered of their tokens; and everything else.
   */
  readonly shares: Readonly<Record<'known' | 'strangers' | 'foreign' | 'remembered' | 'handed', Shares>>;
  readonly connections: Connections;
  readonly callers: Callers;
  readonly foreign: ForeignTokens;
  readonly localiser: Localiser;
  readonly audit: Pick<Audit, 'append' | 'note'>;
  readonly validations: Pick<ValidationRecords, 'record'>;
  readonly own: OwnTokens;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** URL that services know the facade by, without `/v3` and without a slash at its end. */
  readonly root: string;
  readonly rootUrl: URL;
  /** Header of every answer: which facade it came from. */
  readonly mark: readonly string[];
}

export type Route = 'versions' | 'login' | 'validate' | 'revoke' | 'relay' | 'refused';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly headers: CallerHeaders;
  /** As in `x-openstack-request-id`. */
  readonly requestId: string;
  /** Stands for the caller of a question about a token, as `Callers.whoIs` says. */
  who: string | undefined;
  /** Gives back the room that it has had from the beginning. */
  leave: () => void;
}
