/** Partners that did not tell when they were asked whose a token is, and for how long that has been so. */
import { AllianceError } from '../core/errors.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';

interface Absence {
  readonly since: number;
  lastAt: number;
}

export class Absences {
  readonly #now: () => number;
  readonly #absences = new Map<PartnerUid, Absence>();

  /** `now`: monotonic, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  note(uid: PartnerUid, told: boolean): void {
    const now = this.#now();
    const known = this.#absences.get(uid);
    if (told) this.#absences.delete(uid);
    else if (known && now - known.lastAt <= foreignLimits.unaskedMs) known.lastAt = now;
    else this.#absences.set(uid, { since: now, lastAt: now });
  }

  /**
   * Whether it has been so for long. What nobody says is theirs then counts as nobody's, so that one partner does not keep the facade from
   * saying no; nothing counts as valid for that.
   */
  isLong(uid: PartnerUid): boolean {
    const absence = this.#absences.get(uid);
    return absence !== undefined && this.#now() - absence.since >= foreignLimits.absentMs;
  }
}

/**
 * One who did not tell may be the issuer, and who said yes the liar. @throws AllianceError unreachable, unless nobody said yes and all of
 * `away` have been so for long
 */
export function assertDecided(away: readonly Partner[], anyYes: boolean, absences: Absences): void {
  const open = anyYes ? away[0] : away.find(({ uid }) => !absences.isLong(uid));
  if (open)
    throw new AllianceError('unreachable', {
      details: `${open.cloudId} may know the token, and does not tell.`,
      retryAfterMs: foreignLimits.retryAfterMs,
    });
}
