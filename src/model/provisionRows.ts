/** Rows of projects across clouds, and their records in the audit. */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import { provisionLimits } from '../core/limits.ts';
import type { AuditEntry } from './audit.ts';
import { appendAudit } from './auditChain.ts';
import type { Partner } from './partner.ts';
import type { NewProvision, Provision, ProvisionActor, ProvisionContent } from './provision.ts';
import type { ProvisionRow, Tables } from './tables.ts';

type Trx = Transaction<Tables>;

/** Of each partner only so many in this state, an ended one, are remembered, however fast it has them made and removed. */
export async function forgetOldest(trx: Trx, { partnerUid, direction, state }: Provision): Promise<void> {
  await trx
    .deleteFrom('provisions')
    .where('partner_uid', '=', partnerUid)
    .where('direction', '=', direction)
    .where('state', '=', state)
    .where('id', 'not in', (eb) =>
      eb
        .selectFrom('provisions')
        .select('id')
        .where('partner_uid', '=', partnerUid)
        .where('direction', '=', direction)
        .where('state', '=', state)
        .orderBy('updated_at', 'desc')
        .limit(provisionLimits.remembered),
    )
    .execute();
}

export const askedBy = ({ direction }: Pick<Provision, 'direction'>): ProvisionActor =>
  direction === 'in' ? 'partner' : 'operator';

export const newProvision = (
  provision: NewProvision,
  { uid, cloudId }: Pick<Partner, 'uid' | 'cloudId'>,
  now: number,
): Provision => ({
  ...provision,
  id: randomBytes(16).toString('base64url'),
  partnerUid: uid,
  cloudId,
  state: 'creating',
  projectId: null,
  noticedAt: null,
  lastError: null,
  createdAt: now,
  updatedAt: now,
});

export function record(
  trx: Trx,
  { outcome, actor }: { outcome: string; actor: ProvisionActor },
  { direction, cloudId, requestId, asked, roles, domainId, projectId, expiresAt }: Provision,
  now: number,
): Promise<void> {
  const entry: AuditEntry = {
    kind: 'provisioning',
    actor,
    partner: cloudId,
    subject: projectId ?? asked.name,
    outcome,
    rule: null,
    requestId,
    details: {
      direction,
      name: asked.name,
      user_id: asked.userId,
      roles,
      domain_id: domainId,
      project_id: projectId,
      expires_at: expiresAt,
    },
  };
  return appendAudit(trx, entry, now);
}

export const toProvision = (row: ProvisionRow): Provision => ({
  id: row.id,
  direction: row.direction,
  partnerUid: row.partner_uid,
  cloudId: row.cloud_id,
  requestId: row.request_id,
  asked: JSON.parse(row.asked) as ProvisionContent,
  state: row.state,
  roles: JSON.parse(row.roles) as string[],
  domainId: row.domain_id,
  projectId: row.project_id,
  expiresAt: row.expires_at,
  noticedAt: row.noticed_at,
  lastError: row.last_error,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export const toRow = ({ partnerUid, cloudId, requestId, asked, roles, ...rest }: Provision): ProvisionRow => ({
  id: rest.id,
  direction: rest.direction,
  partner_uid: partnerUid,
  cloud_id: cloudId,
  request_id: requestId,
  asked: JSON.stringify(asked),
  name: asked.name,
  user_id: asked.userId,
  roles: JSON.stringify(roles),
  domain_id: rest.domainId,
  project_id: rest.projectId,
  state: rest.state,
  expires_at: rest.expiresAt,
  noticed_at: rest.noticedAt,
  last_error: rest.lastError,
  created_at: rest.createdAt,
  updated_at: rest.updatedAt,
});
