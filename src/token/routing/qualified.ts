/** Tokens as text, and the qualified form `a1.<cloud_id>.<token>`, which says whose a token is. */
import { AllianceError } from '../../core/errors.ts';
import { type CloudId, isCloudId } from '../../core/ids.ts';
import { tokenLimits } from '../../core/limits.ts';

const issuedForm = /^[A-Za-z0-9._=-]+$/;
const prefix = 'a1.';

/** Whether it says itself that it is another cloud's, or tries to. */
export const isQualified = (token: string): boolean => token.startsWith(prefix);

/** Whether a Keystone may have issued this: what is qualified names an issuer and is not what the issuer issued. */
export const isIssuedForm = (token: string): boolean =>
  token.length <= tokenLimits.tokenBytes && issuedForm.test(token) && !isQualified(token);

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
