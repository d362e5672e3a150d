/** `GET`, `HEAD` and `DELETE /v3/auth/tokens`: whose token it is decides who answers. */

import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { isKeystoneError } from '../../lproxy/keystoneBodies.ts';
import type { UpstreamAnswer } from '../../lproxy/upstream.ts';
import type { Recognised } from '../../token/foreign.ts';
import { type Answer, tooMany, writeAnswer } from './answers.ts';
import type { Caller } from './callers.ts';
import { answerForeign, type Whose } from './decide.ts';
import type { Exchange, Facade } from './exchange.ts';
import { headerOf } from './headers.ts';
import { ask, passRead, readAnswer } from './relay.ts';
import { revokeForeign } from './revoke.ts';
import type { Shares } from './shares.ts';

/** What Keystone takes for true in a query (oslo's bool_from_string). */
const isTrue = (word: string | null): boolean => /^\s*(1|t|true|on|y|yes)\s*$/i.test(word ?? '');

export const subjectOf = ({ headers }: Exchange): string => headers.values.get('x-subject-token') ?? '';

type May = Extract<Caller, { kind: 'may' }>;

/** One of the two questions about a token. */
interface Matter {
  readonly allowExpired: boolean;
  /** Whether it can be decided without asking the token's issuer. */
  readonly isReady: (found: Recognised) => boolean;
  /** Whether this caller may, in the eyes of this cloud's Keystone. */
  readonly check: (token: string | undefined) => Caller | Promise<Caller>;
  readonly act: (whose: Whose, caller: May) => Promise<Answer>;
}

const callersToken = ({ headers }: Exchange): string | undefined => headers.values.get('x-auth-token');

function give({ mark }: Facade, { request, response, requestId }: Exchange, answer: Answer): void {
  writeAnswer(response, answer, ['x-openstack-request-id', requestId, ...mark], request.method === 'HEAD');
}

/**
 * Who is waited for has a share of the room for that, and of it whoever asks: neither a partner's silence nor made-up tokens of it, which
 * somebody sends to one service, keep others from theirs. Undefined where the share is used up.
 */
async function waitFor<T>(
  room: Shares,
  exchange: Exchange,
  [whom, { user }]: readonly [string, May],
  work: () => Promise<T>,
): Promise<T | undefined> {
  const leave = room.take(whom, user.id);
  if (!leave) return undefined;
  // Nor does what waits here take any more of the room for this cloud's own tokens.
  exchange.leave();
  return work().finally(leave);
}

const isFound = (whose: Whose): whose is Recognised => whose !== 'unusable' && !(whose instanceof AllianceError);

async function answerOf(facade: Facade, exchange: Exchange, matter: Matter, whose: Whose, caller: May) {
  const answer = () => matter.act(whose, caller);
  if (!isFound(whose)) return answer();
  // What is remembered waits for no partner, so questions that do take none of its room. But it may wait for this cloud's Keystone, for
  // what the mapping looks up.
  const { foreign, remembered } = facade.shares;
  const room = matter.isReady(whose) ? remembered : foreign;
  return (await waitFor(room, exchange, [whose.partner.uid, caller], answer)) ?? tooMany;
}

/** Whether Keystone itself says that there is no such token, and not, say, a proxy that there is no such page. */
function isUnknown({ request }: Exchange, { headers }: UpstreamAnswer, body: Buffer): boolean {
  // The answer to HEAD has no body to look into.
  if (request.method === 'HEAD') return headerOf(headers, 'content-type')?.startsWith('application/json') === true;
  return isKeystoneError(body.toString(), 404);
}

function recall({ foreign }: Facade, subject: string): Whose | undefined {
  try {
    return foreign.recall(subject);
  } catch (thrown) {
    return toAllianceError(thrown);
  }
}

/** Keystone did not know it. Only for those who may is anybody else asked; for others its answer is all there is. */
async function afterLocal(facade: Facade, exchange: Exchange, matter: Matter): Promise<Answer | undefined> {
  const caller = await matter.check(callersToken(exchange));
  if (caller.kind === 'refused') return undefined;
  const { foreign } = facade;
  const subject = subjectOf(exchange);
  const search = async () => {
    const last = { allowExpired: matter.allowExpired, caller: caller.user.id };
    return { whose: await foreign.recogniseLast(subject, last).catch(toAllianceError) };
  };
  const known = recall(facade, subject);
  const found = known ? { whose: known } : await waitFor(facade.shares.foreign, exchange, ['search', caller], search);
  if (!found) return tooMany;
  return found.whose && answerOf(facade, exchange, matter, found.whose, caller);
}

/** By a signature only for those who are known to may validate; for others this cloud's Keystone has its say first. */
function recogniseFirst({ foreign, callers }: Facade, exchange: Exchange): Recognised | 'unusable' | undefined {
  const subject = subjectOf(exchange);
  // No Keystone issues such, so none is to see it, also where that step is off.
  if (foreign.isQualified(subject)) return foreign.recogniseFirst(subject) ?? 'unusable';
  return subject !== '' && callers.isKnown(callersToken(exchange)) ? foreign.recogniseFirst(subject) : undefined;
}

async function localFirst(facade: Facade, exchange: Exchange, matter: Matter): Promise<void> {
  const subject = subjectOf(exchange);
  const first = recogniseFirst(facade, exchange);
  if (first !== undefined) {
    // The caller first, whatever the token: who may not learns nothing of it.
    const caller = await matter.check(callersToken(exchange));
    const answer = caller.kind === 'may' ? await answerOf(facade, exchange, matter, first, caller) : caller.answer;
    return give(facade, exchange, answer);
  }
  const local = await ask(facade, exchange, { over: 'tokens', plain: true });
  if (exchange.request.method === 'DELETE' && local.status === 204) facade.own.revoked();
  const body = await readAnswer(local, local.status === 404 ? facadeLimits.errorBytes : facadeLimits.answerBytes);
  facade.callers.learn(exchange.who, local, body);
  const isOpen = local.status === 404 && subject !== '' && isUnknown(exchange, local, body);
  const answer = isOpen ? await afterLocal(facade, exchange, matter) : undefined;
  if (answer) give(facade, exchange, answer);
  else passRead(facade, exchange, local, body);
}

export function validate(facade: Facade, exchange: Exchange): Promise<void> {
  const { target, headers, requestId } = exchange;
  const allowExpired = isTrue(target.query.get('allow_expired'));
  return localFirst(facade, exchange, {
    allowExpired,
    isReady: (found) => facade.foreign.isRemembered(found, { allowExpired }),
    check: (token) => facade.callers.check(token),
    act: (whose, caller) =>
      answerForeign(facade, {
        whose,
        subject: subjectOf(exchange),
        caller,
        allowExpired,
        catalog: !target.query.has('nocatalog'),
        accessRules: Number.parseFloat(headers.values.get('openstack-identity-access-rules') ?? '') >= 1,
        requestId,
      }),
  });
}

export function revoke(facade: Facade, exchange: Exchange): Promise<void> {
  return localFirst(facade, exchange, {
    allowExpired: false,
    // Only its issuer ends it.
    isReady: () => false,
    check: (token) => facade.callers.checkRevoking(token),
    act: (whose, caller) =>
      revokeForeign(facade, { whose, subject: subjectOf(exchange), caller, requestId: exchange.requestId }),
  });
}
