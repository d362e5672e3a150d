/** Branded ids: a string of one kind cannot be passed where another kind is meant. */
import { randomBytes } from 'node:crypto';
import { AllianceError } from './errors.ts';

declare const brand: unique symbol;
type Branded<B extends string> = string & { readonly [brand]: B };

/** Name of a cloud, `[a-z0-9][a-z0-9-]{0,62}`, not a reserved word. */
export type CloudId = Branded<'CloudId'>;
/** Immutable id of a partner record, 26 characters of base32. */
export type PartnerUid = Branded<'PartnerUid'>;
/** Id of a session: 16 bytes as base64url. */
export type SessionId = Branded<'SessionId'>;
/** Id of an invitation: 16 bytes as base64url. */
export type InvitationId = Branded<'InvitationId'>;

/** Words with a meaning in region syntax, the command line or policies; no cloud and no partner may have them as a name. */
export const reservedNames: ReadonlySet<string> = new Set([
  'all',
  'any',
  'default',
  'global',
  'local',
  'localhost',
  'main',
  'master',
  'me',
  'none',
  'null',
  'other',
  'others',
  'partner',
  'remote',
  'self',
  'target',
  'this',
  'us',
]);

const cloudIdForm = /^[a-z0-9][a-z0-9-]{0,62}$/;

export function parseCloudId(text: unknown, field = 'cloud_id'): CloudId {
  if (typeof text !== 'string' || !cloudIdForm.test(text))
    throw new AllianceError('bad_request', {
      field,
      details: `${field} must be 1 to 63 characters of a-z, 0-9 and "-", and must not begin with "-".`,
    });
  if (reservedNames.has(text))
    throw new AllianceError('name_reserved', { field, details: `${field} "${text}" is reserved.` });
  return text as CloudId;
}

export function isCloudId(text: unknown): text is CloudId {
  return typeof text === 'string' && cloudIdForm.test(text) && !reservedNames.has(text);
}

/** A display name for a partner: same form as a cloud_id, so that it can stand wherever P stands. */
export const parsePartnerName = (text: unknown): string => parseCloudId(text, 'name');

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

export function newPartnerUid(): PartnerUid {
  let uid = '';
  for (const byte of randomBytes(26)) uid += base32[byte & 31];
  return uid as PartnerUid;
}

/** Id of one request, for logs and AException.request_id: 12 random bytes as base64url. */
export const newRequestId = (): string => randomBytes(12).toString('base64url');
