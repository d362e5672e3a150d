/** What the handlers of token and catalog calls share. */
import { partnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { keystoneLimits } from '../../core/limits.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import type { Partner } from '../../model/partner.ts';
import { isIssuedForm, isTokenForm } from '../../token/routing/qualified.ts';
import { IndeterminateReason } from '../../wire/types.ts';
import type { ServerContext } from '../context.ts';

/**
 * False for a text that no Keystone issues, although it may take it for one of its tokens: it is not asked. Throws `token_form_refused`: a
 * token that names its issuer is for the issuer's partners; sent to the issuer itself it would nest.
 */
export function mayBeIssued(token: string): boolean {
  if (isIssuedForm(token)) return true;
  if (!isTokenForm(token)) throw new AllianceError('token_form_refused', { field: 'token' });
  return false;
}

/** Throws `bad_request` for what is not 32 bytes. */
export function assertHintBytes(bytes: Uint8Array, field: 'hint' | 'nonce'): void {
  if (bytes.byteLength !== 32) throw new AllianceError('bad_request', { field, details: `${field} has 32 bytes.` });
}

/** Throws `bad_request` for a text that is too long to be worth a question to Keystone. */
export function assertFilter(filter: object): void {
  for (const [field, text] of Object.entries(filter))
    if (typeof text === 'string' && Buffer.byteLength(text) > keystoneLimits.filterBytes)
      throw new AllianceError('bad_request', {
        field,
        details: `${field} has more than ${keystoneLimits.filterBytes} bytes.`,
      });
}

/** This cloud's Keystone, with what this partner may use of it. */
export function keystoneOf({ keystone }: ServerContext, partner: Partner): Keystone {
  const own = keystone(partner);
  if (!own) throw new AllianceError('not_exported', { details: 'This cloud has no Keystone configured.' });
  return own;
}

const reasons = new Map<string, IndeterminateReason>([
  ['keystone_unreachable', IndeterminateReason.KEYSTONE_UNREACHABLE],
  ['keystone_refused', IndeterminateReason.KEYSTONE_REFUSED],
  ['keystone_malformed', IndeterminateReason.KEYSTONE_MALFORMED],
  ['overloaded', IndeterminateReason.OVERLOADED],
]);

/** Once a minute: an operator here has to mend it, and partners only learn that nobody can say. */
const warningRate = { perS: 1 / 60, burst: 1 };

/** Why nobody can say, or undefined for an error that is none of Keystone's; refused credentials of ours are logged. */
export function indeterminateReason(
  { rates, clock, log }: ServerContext,
  thrown: unknown,
): IndeterminateReason | undefined {
  if (!(thrown instanceof AllianceError)) return undefined;
  if (
    thrown.errorName === 'keystone_refused' &&
    rates.partners.take('warning:keystone_refused', warningRate, clock.now()) === 0
  )
    log.warn({ err: thrown }, 'Tokens cannot be validated.');
  return reasons.get(thrown.errorName);
}

/** Whether users may log in here through this partner. */
export const mayAuthenticate = ({ config }: ServerContext, { cloudId }: Partner): boolean =>
  partnerConfig(config(), cloudId).authenticate;
