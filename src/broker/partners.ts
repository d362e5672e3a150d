/** What an operator does with partners, for the command line and for anyone who embeds the broker. */
import { randomBytes } from 'node:crypto';
import { decodeInvitation, encodeInvitation, type Invitation } from '../channel/invitation.ts';
import { invitationKey, mirrorRole, type PartnerRole } from '../channel/pairing.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { type InvitationId, parseCloudId, parsePartnerName } from '../core/ids.ts';
import { pairingLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { readCertificate } from '../crypto/certificate.ts';
import { parseVerificationCode } from '../crypto/crockford.ts';
import type { Partner } from '../model/partner.ts';
import { acceptInvitation, askPairing, tellEndOfTrust } from '../rproxy/pairing.ts';
import type { Installation } from './installation.ts';

export interface InviteOptions {
  /** What the partner will be to us; default both. */
  readonly role?: PartnerRole | undefined;
  /** Name of the partner here; default its cloud_id. */
  readonly name?: string | undefined;
  readonly ttlMs?: number | undefined;
  readonly trustTill?: number | null | undefined;
  readonly forCloudId?: string | undefined;
  /** Approve whoever accepts, at once. */
  readonly approve?: boolean | undefined;
  /** Let a removed cloud_id come back with another key. */
  readonly replaceIdentity?: boolean | undefined;
}

/** Makes a one-time invitation. The token is returned and stored nowhere. */
export async function invite(
  { store, view, clock, endpoints }: Installation,
  options: InviteOptions = {},
): Promise<{ token: string; invitation: Invitation }> {
  const { ttlMs = pairingLimits.ttlMs, role = 'both', trustTill = null } = options;
  const now = clock.now();
  if (!(ttlMs > 0 && ttlMs <= pairingLimits.maxTtlMs))
    throw new AllianceError('bad_request', { field: 'ttl', details: 'ttl must be longer than 0 and at most 7 days.' });
  if (trustTill !== null && trustTill <= now)
    throw new AllianceError('bad_request', { field: 'trust_till', details: 'trust_till must be in the future.' });
  if (!endpoints.some((endpoint) => endpoint.startsWith('tls:')))
    throw new AllianceError('configuration', {
      field: 'advertise',
      details: 'advertise must name a tls:// endpoint: pairing needs TLS.',
    });
  const { identity } = view.current;
  const invitation: Invitation = {
    id: randomBytes(16),
    secret: randomBytes(32),
    cloudId: identity.cloudId,
    fingerprint: identity.fingerprint,
    endpoints,
    role,
    expiresAt: now + ttlMs,
  };
  await store.invitations.create({
    id: invitation.id.toString('base64url') as InvitationId,
    kp: invitationKey(invitation.secret, invitation.id),
    role,
    name: options.name === undefined ? null : parsePartnerName(options.name),
    forCloudId: options.forCloudId === undefined ? null : parseCloudId(options.forCloudId, 'for'),
    approve: !options.approve,
    trustTill,
    expiresAt: invitation.expiresAt,
    replaceIdentity: options.replaceIdentity ?? false,
  });
  return { token: encodeInvitation(invitation), invitation };
}

export interface AcceptOptions {
  readonly name?: string | undefined;
  readonly replaceIdentity?: boolean | undefined;
}

/** Accepts an invitation: dials the inviter, proves, and stores it as a partner. Whatever fails, nothing is stored. */
export async function accept(
  installation: Installation,
  token: string,
  { name, replaceIdentity = false }: AcceptOptions = {},
): Promise<Partner> {
  const { store, view, clock, pool } = installation;
  const invitation = decodeInvitation(token);
  const word = name === undefined ? invitation.cloudId : parsePartnerName(name);
  if (clock.now() >= invitation.expiresAt)
    throw new AllianceError('invitation_refused', { details: 'It expired; ask for a new one.' });
  await refuseKnown(installation, invitation, word, replaceIdentity);
  const role = mirrorRole(invitation.role);
  const { partner, pending } = await acceptInvitation({
    invitation,
    identity: view.current.identity,
    card: installation.card(role),
    policy: pool.policy(),
  });
  const { algorithm, notBefore, notAfter } = readCertificate(partner.certificate);
  const stored = await store.partners.add({
    cloudId: partner.cloudId,
    name: word,
    role,
    state: pending ? 'pending' : 'active',
    approval: pending ? 'partner' : null,
    endpoints: partner.endpoints,
    key: { fingerprint: partner.fingerprint, algorithm, certificateDer: partner.certificate, notBefore, notAfter },
    binding: partner.binding,
    code: partner.code,
    acknowledgedSequence: view.current.sequence,
    replaceIdentity,
  });
  await view.refresh();
  return stored;
}

/** What storing would refuse anyway, told before the invitation is used up. */
async function refuseKnown(
  { store, view }: Installation,
  { cloudId, fingerprint }: Invitation,
  name: string,
  replaceIdentity: boolean,
): Promise<void> {
  const own = view.identities.some(({ identity }) => equalBytes(identity.fingerprint, fingerprint));
  if (own || cloudId === view.cloudId)
    throw new AllianceError('identity_known', {
      details: 'The invitation is from this very cloud, or one of its name.',
    });
  const words = new Set<string>([cloudId, name]);
  const known = (await store.partners.list()).find((other) => words.has(other.cloudId) || words.has(other.name));
  if (known)
    throw new AllianceError('identity_known', { details: `${known.name} is a partner already (${known.state}).` });
  const owner = await store.partners.findByFingerprint(fingerprint);
  if (owner && owner.cloudId !== cloudId && !replaceIdentity)
    throw new AllianceError('identity_known', { details: `The key belongs to ${owner.cloudId}.` });
}

/** Approves a pending partner; the code is the one that the other operator reads out. */
export async function approve({ store, view }: Installation, partner: Partner, code: string): Promise<Partner> {
  if (partner.approval === 'partner')
    throw new AllianceError('illegal_transition', { details: `${partner.cloudId} has to approve us, not we it.` });
  if (partner.state !== 'pending' || partner.code === null)
    throw new AllianceError('illegal_transition', {
      details: `approve: partner ${partner.cloudId} is ${partner.state}`,
    });
  const typed = Buffer.from(parseVerificationCode(code));
  if (!equalBytes(typed, Buffer.from(partner.code))) throw new AllianceError('code_mismatch');
  const approved = await store.partners.apply(partner.uid, 'approve');
  await view.refresh();
  return approved;
}

/** Lets one new start of sessions through, where configuration requires continuity. */
export async function grantContinuity({ store, clock }: Installation, partner: Partner, ttlMs: number): Promise<void> {
  await store.partners.update(partner.uid, { continuityGrantedTill: clock.now() + ttlMs });
}

/** Asks the inviter whether it approved us, and writes down what it says. */
export async function refreshPairing({ store, view, pool }: Installation, partner: Partner): Promise<Partner> {
  if (partner.state !== 'pending' || partner.approval !== 'partner') return partner;
  const answer = await askPairing(pool, partner);
  if (!answer.active) return partner;
  const { trustTill } = answer;
  const approved = await store.partners.apply(partner.uid, 'approve', {
    by: 'partner',
    ...(trustTill !== null && { trustTill }),
  });
  await view.refresh();
  return approved;
}

export interface EndOfTrust {
  /** Whether the partner heard of it now; a running broker goes on trying after a revocation. */
  readonly told: boolean;
}

/**
 * Ends the trust for good. The partner is told over a channel opened before, since afterwards there is none; trust ends here
 * whether or not it can be reached.
 */
export async function endTrust(
  installation: Installation,
  partner: Partner,
  how: 'revoked' | 'removed',
): Promise<EndOfTrust> {
  const { store, view, log } = installation;
  const told = partner.state === 'revoked' ? false : await tell(installation, partner, how);
  if (how === 'revoked') await store.partners.apply(partner.uid, 'revoke', { by: 'us', notify: !told });
  else
    await store.partners.remove(partner.uid, {
      notify: !told && (partner.state !== 'revoked' || partner.noticePending !== null),
    });
  await view.refresh();
  log.info({ partner: partner.cloudId, how, told }, 'Trust ended.');
  return { told };
}

async function tell({ pool, log }: Installation, partner: Partner, how: 'revoked' | 'removed'): Promise<boolean> {
  if (partner.state !== 'active') return false;
  try {
    await tellEndOfTrust(pool, partner, how);
    return true;
  } catch (thrown) {
    log.info({ partner: partner.cloudId, err: toAllianceError(thrown) }, 'The partner could not be told.');
    return false;
  }
}
