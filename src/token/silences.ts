/** Partners that take questions and do not answer them: nobody is kept waiting for what others have just waited for in vain. */
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';
import type { Heard } from './issuer.ts';

interface Silence {
  /** Questions in a row that took long and led to nothing. */
  inVain: number;
  /** What came of the last one. */
  heard: Heard;
  /** One at a time finds out whether it is over. */
  trying: boolean;
}

export class Silences {
  readonly #now: () => number;
  readonly #silences = new Map<PartnerUid, Silence>();

  /** `now`: monotonic, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Asks; or, while the partner is silent and somebody is trying already, says at once what came of it the last time. */
  async run(uid: PartnerUid, ask: () => Promise<Heard>): Promise<Heard> {
    const silence = this.#silences.get(uid);
    const isTrial = silence !== undefined && silence.inVain >= foreignLimits.silentQuestions;
    if (isTrial && silence.trying) return silence.heard;
    if (isTrial) silence.trying = true;
    const askedAt = this.#now();
    try {
      const heard = await ask();
      this.#learn(uid, heard, this.#now() - askedAt);
      return heard;
    } finally {
      if (isTrial) silence.trying = false;
    }
  }

  #learn(uid: PartnerUid, heard: Heard, ms: number): void {
    // Whoever refuses quickly keeps nobody waiting.
    if (heard.kind !== 'undecided' || ms < foreignLimits.silentMs) {
      this.#silences.delete(uid);
      return;
    }
    const before = this.#silences.get(uid) ?? { inVain: 0, trying: false };
    this.#silences.set(uid, Object.assign(before, { inVain: before.inVain + 1, heard }));
  }
}
