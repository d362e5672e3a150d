/** The stored invitations; consuming one and storing the partner is one transaction. */
import type { Transaction } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import type { InvitationId } from '../core/ids.ts';
import { pairingLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { recordInvitation, recordPairing } from './auditActs.ts';
import type { Database } from './database.ts';
import type { Acceptance, Consumption, Invitation, InvitationFacts, Invitations } from './invitation.ts';
import { insertPartner, loadPartner, refuseKnownNames } from './partnerRows.ts';
import type { InvitationRow, Tables } from './tables.ts';
import { checkTrustTill } from './trust.ts';

/** What binds a sealed pairing key to its place; there is no partner yet. */
const invitationAad = (id: string): string[] => ['invitations', id, 'kp', ''];

export function createInvitations(db: Database, keyring: Keyring, clock: Clock): Invitations {
  return {
    create: (invitation) =>
      db.write(async (trx) => {
        const now = clock.now();
        checkTrustTill(invitation.trustTill);
        // What accepting would refuse anyway is told to whom it concerns, before the token goes on its way.
        const { name, forCloudId } = invitation;
        await refuseKnownNames(trx, {
          ...(forCloudId !== null && { cloud_id: forCloudId }),
          ...(name !== null && { name }),
        });
        const open = await trx
          .selectFrom('invitations')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .where('used_by', 'is', null)
          .where('expires_at', '>', now)
          .executeTakeFirstOrThrow();
        if (Number(open.count) >= pairingLimits.openInvitations)
          throw new AllianceError('overloaded', { details: `${open.count} invitations are open: cancel some.` });
        await trx
          .insertInto('invitations')
          .values({
            id: invitation.id,
            kp: keyring.seal(invitation.kp, invitationAad(invitation.id)),
            role: invitation.role,
            name: invitation.name,
            for_cloud_id: invitation.forCloudId,
            approve: invitation.approve ? 1 : 0,
            trust_till: invitation.trustTill,
            replace_identity: invitation.replaceIdentity ? 1 : 0,
            created_at: now,
            expires_at: invitation.expiresAt,
            used_by: null,
            used_at: null,
            partner_uid: null,
          })
          .execute();
        const { id, role, approve } = invitation;
        await recordInvitation(trx, 'invited', { id, role, forCloudId, approve }, now);
      }),

    find: async (id) => {
      const row = await db.reader.selectFrom('invitations').selectAll().where('id', '=', id).executeTakeFirst();
      return row ? toInvitation(row, keyring) : null;
    },

    list: async () => {
      const rows = await db.reader.selectFrom('invitations').selectAll().orderBy('created_at').execute();
      return rows.map(toFacts);
    },

    cancel: (id) =>
      db.write(async (trx) => {
        const { numDeletedRows } = await trx.deleteFrom('invitations').where('id', '=', id).executeTakeFirstOrThrow();
        if (numDeletedRows > 0n) await recordInvitation(trx, 'cancelled', { id }, clock.now());
        return numDeletedRows > 0n;
      }),

    consume: (id, acceptance) =>
      db.write(async (trx) => (await use(trx, id, acceptance)) ?? (await repeat(trx, id, acceptance))),
  };
}

/** Null when the invitation is not open; throws when it is, but the partner cannot be added. */
async function use(trx: Transaction<Tables>, id: InvitationId, acceptance: Acceptance): Promise<Consumption | null> {
  const { fingerprint, now, partner } = acceptance;
  const row = await trx
    .updateTable('invitations')
    .set({ used_by: fingerprint, used_at: now })
    .where('id', '=', id)
    .where('used_by', 'is', null)
    .where('expires_at', '>', now)
    .returning(['for_cloud_id', 'replace_identity'])
    .executeTakeFirst();
  if (!row) return null;
  if (row.for_cloud_id !== null && row.for_cloud_id !== partner.cloudId) throw refused('It is for another cloud.');
  if (!equalBytes(partner.key.fingerprint, fingerprint))
    throw refused('It is accepted by another key than the card shows.');

  const replaceIdentity = row.replace_identity === 1 || partner.replaceIdentity === true;
  const uid = await insertPartner(trx, { ...partner, replaceIdentity }, now);
  await trx.updateTable('invitations').set({ partner_uid: uid }).where('id', '=', id).execute();
  const stored = await loadPartner(trx, uid);
  await recordPairing(trx, 'stored', stored, { by: 'partner', now });
  return { outcome: 'stored', partner: stored };
}

/**
 * The answer may have been lost: the same key gets the same result, while the invitation lasts and the partner is there. Only the
 * verification code is that of the new conversation, as the other side shows no other.
 */
async function repeat(
  trx: Transaction<Tables>,
  id: InvitationId,
  { fingerprint, now, partner: { code } }: Acceptance,
): Promise<Consumption> {
  const row = await trx
    .selectFrom('invitations')
    .select(['partner_uid', 'used_by'])
    .where('id', '=', id)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  if (!row?.used_by || !row.partner_uid) throw refused('It is unknown, expired or spent.');
  if (!equalBytes(row.used_by, fingerprint)) throw refused('Another key used it.');
  const partner = await loadPartner(trx, row.partner_uid);
  if (partner.removed || partner.state === 'revoked') throw refused('The partner that used it is trusted no more.');
  if (partner.state === 'pending')
    await trx
      .updateTable('partners')
      .set({ code: code ?? null })
      .where('uid', '=', partner.uid)
      .execute();
  await recordPairing(trx, 'repeated', partner, { by: 'partner', now });
  return { outcome: 'repeated', partner: await loadPartner(trx, partner.uid) };
}

const refused = (details: string): AllianceError => new AllianceError('invitation_refused', { details });

const toInvitation = (row: InvitationRow, keyring: Keyring): Invitation => ({
  ...toFacts(row),
  kp: keyring.open(row.kp, invitationAad(row.id)),
});

function toFacts(row: InvitationRow): InvitationFacts {
  return {
    id: row.id,
    role: row.role,
    name: row.name,
    forCloudId: row.for_cloud_id,
    approve: row.approve === 1,
    trustTill: row.trust_till,
    expiresAt: row.expires_at,
    replaceIdentity: row.replace_identity === 1,
    createdAt: row.created_at,
    usedBy: row.used_by,
    usedAt: row.used_at,
    partnerUid: row.partner_uid,
  };
}
