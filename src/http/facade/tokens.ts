/** `GET`, `HEAD` and `DELETE /v3/auth/tokens`: whose token it is decides who answers. */

import { toAllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import { isKeystoneError } from '../../lproxy/keystoneBodies.ts';
import type { UpstreamAnswer } from '../../lproxy/upstream.ts';
import type { Recognised } from '../../token/foreign.ts';
import { type Answer, writeAnswer } from './answers.ts';
import type { Caller } from './callers.ts';
import { answerForeign, type Whose } from './decide.ts';
import type { Exchange, Facade } from './exchange.ts';
import { headerOf } from './headers.ts';
import { ask, pass, passText, readText } from './relay.ts';
import { revokeForeign } from './revoke.ts';

/** What Keystone takes for true in a query (oslo's bool_from_string). */
const isTrue = (word: string | null): boolean => /^\s*(1|t|true|on|y|yes)\s*$/i.test(word ?? '');

export const subjectOf = ({ headers }: Exchange): string => headers.values.get('x-subject-token') ?? '';

type May = Extract<Caller, { kind: 'may' }>;
type Act = (whose: Whose, caller: May) => Promise<Answer>;

const checkCaller = ({ callers }: Facade, { headers }: Exchange): Caller | Promise<Caller> =>
  callers.check(headers.values.get('x-auth-token'));

function give({ mark }: Facade, { request, response, requestId }: Exchange, answer: Answer): void {
  writeAnswer(response, answer, ['x-openstack-request-id', requestId, ...mark], request.method === 'HEAD');
}

/** Whether Keystone itself says that there is no such token, and not, say, a proxy that there is no such page. */
function isUnknown({ request }: Exchange, { headers }: UpstreamAnswer, text: string): boolean {
  // The answer to HEAD has no body to look into.
  if (request.method === 'HEAD') return headerOf(headers, 'content-type')?.startsWith('application/json') === true;
  return isKeystoneError(text, 404);
}

/** Keystone did not know it. Only for those who may validate is anybody else asked; for others its answer is all there is. */
async function afterLocal(facade: Facade, exchange: Exchange, allowExpired: boolean) {
  const caller = await checkCaller(facade, exchange);
  if (caller.kind === 'refused') return undefined;
  const whose = await facade.foreign
    .recogniseLast(subjectOf(exchange), { allowExpired, caller: caller.user.id })
    .catch(toAllianceError);
  return whose && { whose, caller };
}

/** By a signature only for those who are known to may validate; for others this cloud's Keystone has its say first. */
function recogniseFirst({ foreign, callers }: Facade, exchange: Exchange): Recognised | 'unusable' | undefined {
  const subject = subjectOf(exchange);
  const mayAsk = foreign.isQualified(subject) || callers.isKnown(exchange.headers.values.get('x-auth-token'));
  return subject !== '' && mayAsk ? foreign.recogniseFirst(subject) : undefined;
}

async function localFirst(facade: Facade, exchange: Exchange, allowExpired: boolean, act: Act): Promise<void> {
  const subject = subjectOf(exchange);
  const first = recogniseFirst(facade, exchange);
  if (first !== undefined) {
    // The caller first, whatever the token: who may not validate learns nothing of it.
    const caller = await checkCaller(facade, exchange);
    return give(facade, exchange, caller.kind === 'may' ? await act(first, caller) : caller.answer);
  }
  const local = await ask(facade, exchange, true);
  if (exchange.request.method === 'DELETE' && local.status === 204) facade.own.revoked();
  if (local.status !== 404) return pass(facade, exchange, local);
  const text = await readText(local, facadeLimits.errorBytes);
  const isOpen = subject !== '' && isUnknown(exchange, local, text);
  const last = isOpen ? await afterLocal(facade, exchange, allowExpired) : undefined;
  if (!last) return passText(facade, exchange, local, text);
  give(facade, exchange, await act(last.whose, last.caller));
}

export function validate(facade: Facade, exchange: Exchange): Promise<void> {
  const { target, headers, requestId } = exchange;
  const allowExpired = isTrue(target.query.get('allow_expired'));
  return localFirst(facade, exchange, allowExpired, (whose, caller) =>
    answerForeign(facade, {
      whose,
      subject: subjectOf(exchange),
      caller,
      allowExpired,
      catalog: !target.query.has('nocatalog'),
      accessRules: Number.parseFloat(headers.values.get('openstack-identity-access-rules') ?? '') >= 1,
      requestId,
    }),
  );
}

export function revoke(facade: Facade, exchange: Exchange): Promise<void> {
  return localFirst(facade, exchange, false, (whose, caller) =>
    revokeForeign(facade, { whose, caller, requestId: exchange.requestId }),
  );
}
