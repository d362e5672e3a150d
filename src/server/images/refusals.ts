/** What of a partner's attempts the audit keeps. */
import { toAllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { Store } from '../../model/store.ts';
import type { Place } from './places.ts';

const recorded: ReadonlySet<string> = new Set(['image_refused', 'image_quota', 'image_unsafe', 'image_conflict']);

/** What a partner tried that it may not; of equal ones one in ten minutes, since it may try as often as it likes. */
export async function noteRefusal(
  { audit }: Pick<Store, 'audit'>,
  { partner, region }: Pick<Place, 'partner' | 'region'>,
  id: string,
  thrown: unknown,
): Promise<void> {
  const { errorName: outcome, details = '' } = toAllianceError(thrown);
  if (!recorded.has(outcome)) return;
  await audit.note({
    kind: 'image',
    actor: 'partner',
    partner: partner.cloudId,
    subject: id.slice(0, partnerImageLimits.idBytes),
    outcome,
    rule: null,
    requestId: null,
    details: { region, why: details.slice(0, partnerImageLimits.idBytes) },
  });
}
