/** Invitations: what verifies them is as good as the invitation itself, so it is stored sealed and used once. */
import type { CloudId, InvitationId, PartnerUid } from '../core/ids.ts';
import type { NewPartner, Partner } from './partner.ts';
import type { Role } from './trust.ts';

export interface NewInvitation {
  readonly id: InvitationId;
  /** Pairing key, 32 bytes. */
  readonly kp: Buffer;
  /** What the partner will be to us. */
  readonly role: Role;
  readonly name: string | null;
  readonly forCloudId: CloudId | null;
  /** True when an operator here must still approve whoever accepts. */
  readonly approve: boolean;
  readonly trustTill: number | null;
  readonly expiresAt: number;
  /** Whether a removed cloud_id may come back with another key by this invitation. */
  readonly replaceIdentity?: boolean;
}

export interface InvitationFacts extends Required<Omit<NewInvitation, 'kp'>> {
  readonly createdAt: number;
  /** Who accepted it, once somebody did. */
  readonly usedBy: Buffer | null;
  readonly usedAt: number | null;
  readonly partnerUid: PartnerUid | null;
}

export interface Invitation extends InvitationFacts {
  readonly kp: Buffer;
}

export interface Acceptance {
  /** Fingerprint of the key that accepts. */
  readonly fingerprint: Buffer;
  readonly now: number;
  readonly partner: NewPartner;
}

export interface Consumption {
  readonly outcome: 'stored' | 'repeated';
  readonly partner: Partner;
}

export interface Invitations {
  /** Throws overloaded beyond pairingLimits.openInvitations. */
  create(invitation: NewInvitation): Promise<void>;
  /** Whatever its state; the caller looks at expiresAt and usedBy. */
  find(id: InvitationId): Promise<Invitation | null>;
  list(): Promise<InvitationFacts[]>;
  /** False when there is none. A partner that came by it stays. */
  cancel(id: InvitationId): Promise<boolean>;
  /** Throws invitation_refused or identity_known, and then nothing is stored. */
  consume(id: InvitationId, acceptance: Acceptance): Promise<Consumption>;
}
