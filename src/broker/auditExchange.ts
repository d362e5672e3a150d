/** Exchanging checkpoints with partners: by a running broker from time to time, and when an operator asks. */
import { toAllianceError } from '../core/errors.ts';
import type { CloudId } from '../core/ids.ts';
import type { Partner } from '../model/partner.ts';
import { exchangeCheckpoint } from '../rproxy/audit.ts';
import { headToTell, isAuditWhole } from './auditTask.ts';
import type { Installation } from './installation.ts';

/** `refused`: the partner holds a head that our audit does not lead to any more. `distrusted`: its own audit is not what it was. */
export type ExchangeOutcome = 'told' | 'refused' | 'distrusted';

/** Throws when the partner cannot be reached; a refusal must not pass as "not now". */
export async function tellCheckpoint(installation: Installation, partner: Partner): Promise<ExchangeOutcome> {
  const head = await headToTell(installation);
  // The handshake may be refused the same way, and says nothing about the audit.
  await installation.pool.open(partner);
  try {
    await exchangeCheckpoint(installation, partner, head);
    return 'told';
  } catch (thrown) {
    const { remote, errorName } = toAllianceError(thrown);
    if (errorName !== 'ticket_refused') throw thrown;
    if (!remote) return 'distrusted';
    installation.telemetry.refusal('checkpoint');
    installation.log.error({ partner: partner.cloudId }, 'Security: a partner refuses the checkpoint of our audit.');
    return 'refused';
  }
}

/** `withheld`: our own audit is not whole, so the partner was told nothing. */
export type Answers = ReadonlyMap<CloudId, ExchangeOutcome | 'unreachable' | 'withheld'>;

/** Asks every active partner now, or only one. */
export async function askPartners(installation: Installation, only?: CloudId): Promise<Answers> {
  const { view } = installation;
  const meant = [...view.partners].filter(({ cloudId }) => only === undefined || cloudId === only);
  const active = meant.filter((partner) => view.stateOf(partner) === 'active');
  if (!(await isAuditWhole(installation))) return new Map(active.map(({ cloudId }) => [cloudId, 'withheld']));
  const answers = active.map(async (partner) => {
    const answer = await tellCheckpoint(installation, partner).catch(() => 'unreachable' as const);
    return [partner.cloudId, answer] as const;
  });
  return new Map(await Promise.all(answers));
}
