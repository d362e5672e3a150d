/** Records of an audit, and what to verify them with where nothing is signed. */
import type { AuditEntry, VerifyOptions } from '../../src/model/audit.ts';

export const auditEntry = (changes: Partial<AuditEntry> = {}): AuditEntry => ({
  kind: 'validation',
  actor: 'service',
  partner: null,
  subject: null,
  outcome: 'accepted',
  rule: null,
  requestId: null,
  details: {},
  ...changes,
});

export const genuine: VerifyOptions = { isGenuine: async () => true };
