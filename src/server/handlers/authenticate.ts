/** A user's login at this cloud's Keystone, asked for by a partner on the user's behalf. */
import { createHash } from 'node:crypto';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { tokenLimits } from '../../core/limits.ts';
import type { RateOptions } from '../../core/rates.ts';
import { type Credentials, parseToken, type Reference, type Scope } from '../../lproxy/keystoneBodies.ts';
import { comparable, privilegedNames } from '../../token/mapping/privilege.ts';
import { type AuthenticateRequest, IssuedToken, type NamedReference, toInt64 } from '../../wire/types.ts';
import type { PartnerHandler, ServerContext } from '../context.ts';
import { untilAfter } from './refusal.ts';
import { keystoneOf, mayAuthenticate } from './tokens.ts';

export const authenticate: PartnerHandler<'authenticate'> = async (context, argument, { partner, startedAt }) => {
  const { clock, config, log, softTokens, notices } = context;
  if (!mayAuthenticate(context, partner)) throw new AllianceError('not_exported', { details: 'authenticate is off.' });
  const { credentials, user } = credentialsOf(argument);
  limitGuesses(context, partner.uid, user);

  const keystone = keystoneOf(context, partner);
  const scope: Scope | undefined = argument.project ? { project: referenceOf(argument.project, 'project') } : undefined;
  const issued = await keystone.issueToken(credentials, scope).catch((thrown) => refuse(startedAt, thrown));
  if (isPrivileged(issued.body, privilegedNames(config().tokens))) {
    // Nobody waits for it: neither the answer nor its time may tell that the password was right.
    keystone.revokeToken(issued.token).catch((thrown: unknown) => {
      log.warn({ partner: partner.cloudId, err: toAllianceError(thrown) }, 'A privileged token was not revoked.');
    });
    const details = 'They are right, and the token would have a privileged role.';
    return refuse(startedAt, new AllianceError('credentials_refused', { details }));
  }

  const { token, expiresAt } = issued;
  const facts = parseToken(issued.body);
  softTokens.learn(token, { status: 'valid', expiresAt, checkedAt: clock.now(), facts });
  notices.announce({ token, expiresAt, auditId: facts.auditIds[0] });
  return new IssuedToken({ token: issued.token, expires_at: toInt64(issued.expiresAt), body: issued.body });
};

/** Wrong credentials and those of privileged users are refused alike, with one error at one time after arrival. */
async function refuse(startedAt: number, thrown: unknown): Promise<never> {
  if (toAllianceError(thrown).errorName === 'credentials_refused')
    await untilAfter(startedAt, tokenLimits.refusalDelayMs);
  throw thrown;
}

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
    checkName(application.id, 'application_credential.id');
    checkText(application.secret, 'application_credential.secret', tokenLimits.passwordBytes);
    const { id, secret } = application;
    return { credentials: { method: 'application_credential', id, secret }, user: `application ${id}` };
  }
  throw bad('request', 'Exactly one of password and application_credential must be set.');
}

function referenceOf(reference: NamedReference, field: string): Reference {
  const { id, name, domain_id: domainId, domain_name: domainName } = reference;
  if (id && !name && !domainId && !domainName) return { id: checkName(id, `${field}.id`) };
  if (name && !id && Boolean(domainId) !== Boolean(domainName)) {
    const domain = domainId
      ? { id: checkName(domainId, `${field}.domain_id`) }
      : { name: checkName(domainName ?? '', `${field}.domain_name`) };
    return { name: checkName(name, `${field}.name`), domain };
  }
  throw bad(field, 'It needs an id, or a name with exactly one of domain_id and domain_name.');
}

/** The domain does not count: by its id and by its name one user would have two shares of guesses. */
const guessedUser = (user: Reference): string => ('id' in user ? `id ${user.id}` : `name ${user.name}`);

function checkText(text: string, field: string, maxBytes: number): string {
  if (text.length === 0 || Buffer.byteLength(text) > maxBytes) throw bad(field, `It must have 1 to ${maxBytes} bytes.`);
  return text;
}

/** Databases compare names without white space at their end; what is left out of a comparison would make guesses unlimited. */
function checkName(text: string, field: string): string {
  if (/^\s|\s$|\p{Cc}/u.test(text)) throw bad(field, 'It has control characters, or white space at an end.');
  return checkText(text, field, tokenLimits.nameBytes);
}

/** One spelling of all that some database may take for the same: without case, accents and marks that cannot be seen. */
const folded = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]/gu, '')
    .toUpperCase()
    .toLowerCase();

/**
 * A partner may not be used to guess passwords: few logins a minute for each of its users, whose names are kept as hashes only, and not
 * many more for all of them together, as one user may be named in more than one way.
 */
function limitGuesses({ rates, config, clock }: ServerContext, uid: string, user: string): void {
  const { authenticatePerMinute, authenticatePerMinutePerPartner } = config().limits;
  const now = clock.now();
  const rateOf = (perMinute: number): RateOptions => ({ perS: perMinute / 60, burst: perMinute });
  const check = (retryAfterMs: number): void => {
    if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs, details: 'Too many logins.' });
  };
  // First, so that a partner cannot fill the memory for rates with users that it makes up.
  check(rates.partners.take(`authenticate:${uid}`, rateOf(authenticatePerMinutePerPartner), now));
  const userHash = createHash('sha256').update(folded(user)).digest('base64');
  check(rates.users.take(uid, userHash, rateOf(authenticatePerMinute), now));
}

/** Whether a token may do more than a user of this cloud should do from abroad. */
function isPrivileged(body: string, privileged: ReadonlySet<string>): boolean {
  const { roles, system } = parseToken(body);
  return system || roles.some(({ name }) => privileged.has(comparable(name)));
}
