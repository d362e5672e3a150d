/** A user's login at this cloud's Keystone, asked for by a partner on the user's behalf. */
import { createHash } from 'node:crypto';
import { AllianceError } from '../../core/errors.ts';
import { tokenLimits } from '../../core/limits.ts';
import { type Credentials, parseToken, type Reference, type Scope } from '../../lproxy/keystoneBodies.ts';
import { type AuthenticateRequest, IssuedToken, type NamedReference, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler, ServerContext } from '../context.ts';
import { keystoneOf, mayAuthenticate } from './tokens.ts';

/** Roles that no partner gets a token with. oslo.policy compares roles without case, so do we. */
const privilegedRoles = new Set(['admin', 'service', 'manager']);

export const authenticate: PartnerHandler<'authenticate'> = async (context, argument, { partner }) => {
  const { clock, softTokens, notices } = context;
  if (!mayAuthenticate(context, partner)) throw new AllianceError('not_exported', { details: 'authenticate is off.' });
  const { credentials, user } = credentialsOf(argument);
  limitGuesses(context, partner.uid, user);

  const keystone = keystoneOf(context, partner);
  const scope: Scope | undefined = argument.project ? { project: referenceOf(argument.project, 'project') } : undefined;
  const issued = await keystone.issueToken(credentials, scope);
  if (isPrivileged(issued.body)) {
    await keystone.revokeToken(issued.token);
    throw new AllianceError('not_exported', { details: 'The token would have a privileged role.' });
  }

  const { token, expiresAt } = issued;
  softTokens.learn(token, { status: 'valid', expiresAt, checkedAt: clock.now(), facts: parseToken(issued.body) });
  notices.announce(token, expiresAt);
  return new IssuedToken({ token: issued.token, expires_at: toInt64(issued.expiresAt), body: issued.body });
};

const bad = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });

function credentialsOf(argument: AuthenticateRequest): { credentials: Credentials; user: string } {
  const { password, application_credential: application, project } = argument;
  if (password && !application) {
    checkText(password.password, 'password.password', tokenLimits.passwordBytes);
    const user = referenceOf(password.user, 'password.user');
    return { credentials: { method: 'password', user, password: password.password }, user: guessedUser(user) };
  }
  if (application && !password) {
    if (project) throw bad('project', 'An application credential has its own project.');
    checkText(application.id, 'application_credential.id', tokenLimits.nameBytes);
    checkText(application.secret, 'application_credential.secret', tokenLimits.passwordBytes);
    const { id, secret } = application;
    return { credentials: { method: 'application_credential', id, secret }, user: `application ${id}` };
  }
  throw bad('request', 'Exactly one of password and application_credential must be set.');
}

function referenceOf(reference: NamedReference, field: string): Reference {
  const { id, name, domain_id: domainId, domain_name: domainName } = reference;
  const { nameBytes } = tokenLimits;
  if (id && !name && !domainId && !domainName) return { id: checkText(id, `${field}.id`, nameBytes) };
  if (name && !id && Boolean(domainId) !== Boolean(domainName)) {
    const domain = domainId
      ? { id: checkText(domainId, `${field}.domain_id`, nameBytes) }
      : { name: checkText(domainName ?? '', `${field}.domain_name`, nameBytes) };
    return { name: checkText(name, `${field}.name`, nameBytes), domain };
  }
  throw bad(field, 'It needs an id, or a name with exactly one of domain_id and domain_name.');
}

/** The domain does not count: by its id and by its name one user would have two shares of guesses. */
const guessedUser = (user: Reference): string => ('id' in user ? `id ${user.id}` : `name ${user.name}`);

function checkText(text: string, field: string, maxBytes: number): string {
  if (text.length === 0 || Buffer.byteLength(text) > maxBytes) throw bad(field, `It must have 1 to ${maxBytes} bytes.`);
  return text;
}

/** A partner may not be used to guess passwords: few logins a minute for each of its users. Names are kept as hashes only. */
function limitGuesses({ rates, config, clock }: ServerContext, uid: string, user: string): void {
  const perMinute = config().limits.authenticatePerMinute;
  const key = `authenticate:${uid}:${createHash('sha256').update(user.normalize('NFKC').toLowerCase()).digest('base64')}`;
  const retryAfterMs = rates.take(key, { perS: perMinute / 60, burst: perMinute }, clock.now());
  if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs, details: 'Too many logins.' });
}

/** Whether a token may do more than a user of this cloud should do from abroad. */
function isPrivileged(body: string): boolean {
  const { roles, system } = parseToken(body);
  return system || roles.some(({ name }) => privilegedRoles.has(name.normalize('NFKC').toLowerCase()));
}
