/** Who of the clouds that an operator named says that a token is good? All of them are asked: one alone could say so of anybody's. */

import { type Absences, assertDecided } from './absences.ts';
import type { ForeignVerdict } from './foreign.ts';
import type { Recognised } from './routing/router.ts';

interface VouchingOptions {
  readonly decide: (candidate: Recognised, options: { readonly allowExpired: boolean }) => Promise<ForeignVerdict>;
  readonly absences: Absences;
}

/** Those that do. Throws `unreachable` where one did not tell. */
export type Vouching = (
  candidates: readonly Recognised[],
  options: { readonly allowExpired: boolean },
) => Promise<readonly Recognised[]>;

export function createVouching({ decide, absences }: VouchingOptions): Vouching {
  return async (candidates, options) => {
    const asked = candidates.map(async (candidate) => {
      const verdict = await decide(candidate, options);
      // What it said long ago may stand in where nobody else is asked; here it would outvote who answers now.
      const told = verdict.kind === 'invalid' || (verdict.kind === 'valid' && verdict.source !== 'stale');
      absences.note(candidate.partner.uid, told);
      return { candidate, told, good: told && verdict.kind === 'valid' };
    });
    const answers = await Promise.all(asked);
    const good = answers.filter((answer) => answer.good).map(({ candidate }) => candidate);
    const away = answers.filter(({ told }) => !told).map(({ candidate }) => candidate.partner);
    assertDecided(away, good.length > 0, absences);
    return good;
  };
}
