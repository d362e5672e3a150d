/** `GET`, `HEAD` and `DELETE /v3/auth/tokens`: whose token it is decides who answers. */

import { facadeLimits } from '../../core/limits.ts';
import { isKeystoneError } from '../../lproxy/keystoneBodies.ts';
import type { UpstreamAnswer } from '../../lproxy/upstream.ts';
import type { Recognised } from '../../token/foreign.ts';
import { type Answer, writeAnswer } from './answers.ts';
import type { Caller } from './callers.ts';
import { answerForeign } from './decide.ts';
import type { Exchange, Facade } from './exchange.ts';
import { headerOf } from './headers.ts';
import { ask, pass, passText, readText } from './relay.ts';
import { revokeForeign } from './revoke.ts';

/** What Keystone takes for true in a query (oslo's bool_from_string). */
const isTrue = (word: string | null): boolean => /^\s*(1|t|true|on|y|yes)\s*$/i.test(word ?? '');

export const subjectOf = ({ headers }: Exchange): string => headers.values.get('x-subject-token') ?? '';

type Act = (recognised: Recognised | 'unusable', caller: Extract<Caller, { kind: 'may' }>) => Promise<Answer>;

/** The caller first, whatever the token: who may not validate learns nothing of it. */
async function answer(
  facade: Facade,
  { request, response, headers, requestId }: Exchange,
  recognised: Recognised | 'unusable',
  act: Act,
): Promise<void> {
  const caller = await facade.callers.check(headers.values.get('x-auth-token'));
  const given = caller.kind === 'may' ? await act(recognised, caller) : caller.answer;
  writeAnswer(response, given, ['x-openstack-request-id', requestId, ...facade.mark], request.method === 'HEAD');
}

/** Whether Keystone itself says that there is no such token, and not, say, a proxy that there is no such page. */
function isUnknown({ request }: Exchange, { headers }: UpstreamAnswer, text: string): boolean {
  // The answer to HEAD has no body to look into.
  if (request.method === 'HEAD') return headerOf(headers, 'content-type')?.startsWith('application/json') === true;
  return isKeystoneError(text, 404);
}

async function localFirst(facade: Facade, exchange: Exchange, act: Act): Promise<void> {
  const subject = subjectOf(exchange);
  const first = subject === '' ? undefined : facade.foreign.recogniseFirst(subject);
  if (first !== undefined) return answer(facade, exchange, first, act);
  const local = await ask(facade, exchange, true);
  if (local.status !== 404) return pass(facade, exchange, local);
  const text = await readText(local, facadeLimits.errorBytes);
  const last =
    subject !== '' && isUnknown(exchange, local, text) ? await facade.foreign.recogniseLast(subject) : undefined;
  if (last === undefined) return passText(facade, exchange, local, text);
  return answer(facade, exchange, last, act);
}

export function validate(facade: Facade, exchange: Exchange): Promise<void> {
  const { target, headers, requestId } = exchange;
  return localFirst(facade, exchange, (recognised, caller) =>
    answerForeign(facade, {
      recognised,
      subject: subjectOf(exchange),
      caller,
      allowExpired: isTrue(target.query.get('allow_expired')),
      catalog: !target.query.has('nocatalog'),
      accessRules: Number.parseFloat(headers.values.get('openstack-identity-access-rules') ?? '') >= 1,
      requestId,
    }),
  );
}

export function revoke(facade: Facade, exchange: Exchange): Promise<void> {
  return localFirst(facade, exchange, (recognised, caller) =>
    revokeForeign(facade, { recognised, caller, requestId: exchange.requestId }),
  );
}
