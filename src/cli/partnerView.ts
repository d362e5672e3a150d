/** A partner as commands show it. */
import { invitationLabel } from '../broker/invitations.ts';
import type { PartnerConfig } from '../core/config.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { InvitationFacts } from '../model/invitation.ts';
import type { Partner, PartnerKey } from '../model/partner.ts';
import { effectiveState } from '../model/trust.ts';
import { formatDistance, formatFacts, formatTime, isoTime } from './text.ts';

export const viewPartner = (partner: Partner, now: number) => ({
  uid: partner.uid,
  cloud_id: partner.cloudId,
  name: partner.name,
  role: partner.role,
  state: effectiveState(partner, now),
  approval: partner.approval,
  code: partner.code,
  trust_since: isoTime(partner.trustSince),
  trust_till: isoTime(partner.trustTill),
  endpoints: partner.endpoints,
  binding: partner.binding,
  keys: partner.keys.map(viewKey),
  revoked_by: partner.revokedBy,
  notice_pending: partner.noticePending,
  continuity_granted_till: isoTime(partner.continuityGrantedTill),
  last_contact: isoTime(partner.lastContact),
  last_error: partner.lastError && { ...partner.lastError, at: isoTime(partner.lastError.at) },
  created_at: isoTime(partner.createdAt),
  updated_at: isoTime(partner.updatedAt),
});

const viewKey = (key: PartnerKey) => ({
  fingerprint: formatFingerprint(key.fingerprint),
  algorithm: key.algorithm,
  state: key.state,
  not_before: isoTime(key.notBefore),
  not_after: isoTime(key.notAfter),
  overlap_till: isoTime(key.overlapTill),
});

export const viewInvitation = (invitation: InvitationFacts) => ({
  state: 'invited' as const,
  id: invitationLabel(invitation),
  invitation: invitation.id,
  name: invitation.name,
  for: invitation.forCloudId,
  role: invitation.role,
  approve: !invitation.approve,
  trust_till: isoTime(invitation.trustTill),
  created_at: isoTime(invitation.createdAt),
  expires_at: isoTime(invitation.expiresAt),
});

/** `pending (by us)`, `revoked (by the partner)`. */
export function describeState(partner: Partner, now: number): string {
  const state = effectiveState(partner, now);
  const who = (side: string | null) => (side === 'us' ? 'us' : 'the partner');
  if (state === 'pending') return `pending (approval by ${who(partner.approval)})`;
  if (state === 'revoked') return `revoked (by ${who(partner.revokedBy)})`;
  return state;
}

const till = (ms: number | null, now: number): string =>
  ms === null ? 'without end' : `${formatTime(ms)} (${formatDistance(ms, now)})`;

const since = (ms: number | null, now: number): string =>
  ms === null ? 'never' : `${formatTime(ms)} (${formatDistance(ms, now)})`;

/** What the configuration grants it, as the configuration calls it. */
export const viewLimits = (limits: PartnerConfig) => ({
  authenticate: limits.authenticate,
  continuity: limits.continuity,
  calls_per_s: limits.callsPerS,
  calls_burst: limits.callsBurst,
  in_flight: limits.inFlight,
  bytes_per_s: limits.bytesPerS,
  channels: limits.channels,
  handshakes_per_s: limits.handshakesPerS,
  handshakes_burst: limits.handshakesBurst,
});

export function describePartner(partner: Partner, limits: ReturnType<typeof viewLimits>, now: number): string[] {
  const { code, lastError, noticePending, continuityGrantedTill } = partner;
  return formatFacts([
    ['cloud_id', partner.cloudId],
    ['name', partner.name],
    ['role', partner.role],
    ['state', describeState(partner, now)],
    ...(code === null ? [] : [['code', code] as const]),
    ['trust since', formatTime(partner.trustSince)],
    ['trust till', till(partner.trustTill, now)],
    ['endpoints', partner.endpoints],
    ['binding', partner.binding === 'exporter' ? 'TLS connection (exporter)' : 'none'],
    ['keys', partner.keys.map((key) => describeKey(key, now))],
    ['last contact', since(partner.lastContact, now)],
    ['last error', lastError ? [`${since(lastError.at, now)} ${lastError.name}`, lastError.message] : 'none'],
    ...(noticePending === null ? [] : [['not told yet', noticePending] as const]),
    ...(continuityGrantedTill === null ? [] : [['new start till', till(continuityGrantedTill, now)] as const]),
    ['limits', Object.entries(limits).map(([key, value]) => `${key}: ${value}`)],
    ['uid', partner.uid],
  ]);
}

function describeKey(key: PartnerKey, now: number): string {
  const what = `${formatFingerprint(key.fingerprint)} ${key.state}, ${key.algorithm}`;
  if (key.state === 'retired') return `${what}, counts no more`;
  const valid = `${what}, till ${formatTime(key.notAfter)}`;
  if (key.overlapTill === null) return valid;
  const end = formatDistance(key.overlapTill, now);
  return key.overlapTill > now
    ? `${valid}, replaced ${end} at the latest`
    : `${valid}, counts no more: replaced ${end}`;
}
