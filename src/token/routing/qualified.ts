/** Tokens as text, and the qualified form `a1.<cloud_id>.<token>`, which says whose a token is. */
import { AllianceError } from '../../core/errors.ts';
import { type CloudId, isCloudId } from '../../core/ids.ts';
import { tokenLimits } from '../../core/limits.ts';

const characters = /^[A-Za-z0-9._=-]+$/;
const word = /^[A-Za-z0-9_-]+$/;
const prefix = 'a1.';
/** Of all tokens of Fernet before the year 2106: its version, and half of a time. */
const fernet = 'gAAAAA';
/** `{"`, as the header of every JWS begins: dots within a token of Fernet, which Python skips, make no JWS of it. */
const jws = 'eyJ';
/** By what is left of base64url beyond its last four characters: with which one it ends where no bit is over. */
const lastOf = ['', undefined, 'AQgw', 'AEIMQUYcgkosw048'] as const;

/** Whether it says itself that it is another cloud's, or tries to. */
export const isQualified = (token: string): boolean => token.startsWith(prefix);

/** Whether it could be sent to a Keystone at all. */
export const isTokenForm = (token: string): boolean =>
  token.length <= tokenLimits.tokenBytes && characters.test(token) && !isQualified(token);

/** The one text that an encoder writes for these bytes. */
function isCanonical(text: string): boolean {
  const last = lastOf[text.length % 4];
  return last !== undefined && word.test(text) && (last === '' || last.includes(text.at(-1)!));
}

/**
 * Whether a Keystone may have issued this: what is qualified names an issuer and is not what the issuer issued. Python's base64 skips what
 * it cannot read and looks neither at padding nor at bits that are over, so that a Keystone takes a token of Fernet in as many spellings as
 * anybody likes. Only the one that it issued counts; of the others nobody is asked, or one token would be many to whoever knows tokens by
 * their text. (Of a JWS of ECDSA there are two all the same, as the negative of its signature's second number is as good.)
 */
export function isIssuedForm(token: string): boolean {
  if (token.length > tokenLimits.tokenBytes || isQualified(token)) return false;
  if (token.startsWith(fernet)) return isCanonical(token);
  if (!token.includes('.')) return word.test(token);
  const parts = token.split('.', 4);
  return parts.length === 3 && token.startsWith(jws) && parts.every(isCanonical);
}

export interface QualifiedToken {
  readonly cloudId: CloudId;
  /** As its issuer knows it. */
  readonly token: string;
}

/** Undefined for a token that is not qualified, `malformed` for one that tries to be. */
export function readQualified(text: string): QualifiedToken | 'malformed' | undefined {
  if (!isQualified(text)) return undefined;
  const end = text.indexOf('.', prefix.length);
  const cloudId = text.slice(prefix.length, end);
  const token = text.slice(end + 1);
  return end > 0 && isCloudId(cloudId) && isIssuedForm(token) ? { cloudId, token } : 'malformed';
}

/** Throws `token_form_refused`. */
export function qualify(token: string, cloudId: CloudId): string {
  if (!isIssuedForm(token)) throw new AllianceError('token_form_refused', { field: 'token' });
  return `${prefix}${cloudId}.${token}`;
}
