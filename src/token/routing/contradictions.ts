/** What becomes of a token where partners say different things of it; the operator hears of each once. */

import { Bounded } from '../../core/bounded.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits } from '../../core/limits.ts';
import type { RouterOptions } from './router.ts';

export class Contradictions {
  readonly #options: Pick<RouterOptions, 'config' | 'view' | 'hints' | 'idOf' | 'log'>;
  /** Tokens that the log knows. */
  readonly #told = new Bounded<true>(foreignLimits.negativeEntries);

  constructor(options: Pick<RouterOptions, 'config' | 'view' | 'hints' | 'idOf' | 'log'>) {
    this.#options = options;
  }

  /** An announcement is no proof, so it takes nothing from whom there is one for. */
  dropOthers(token: string, uid: PartnerUid): void {
    const { config, view, hints } = this.#options;
    if (!config().tokens.known) return;
    for (const other of hints.whoAnnounced(token)) {
      if (other.uid === uid) continue;
      hints.dropAnnouncement(other, token);
      const facts = { partner: view.partnerByUid(uid)?.cloudId, announcedBy: other.cloudId };
      this.#tell(token, facts, "A partner announced a token that is known to be another one's: it is not believed.");
    }
  }

  /** Where partners contradict each other somebody lies, and who does cannot be told from here. */
  disputed(token: string, uids: readonly PartnerUid[]): 'unusable' {
    const partners = uids.map((uid) => this.#options.view.partnerByUid(uid)?.cloudId);
    this.#tell(token, { partners }, "Several partners say that a token is theirs: it is taken for nobody's.");
    return 'unusable';
  }

  /** Once for each token: whoever lies could do so as often as it is asked. */
  #tell(token: string, facts: object, message: string): void {
    const id = this.#options.idOf(token);
    if (this.#told.get(id)) return;
    this.#told.set(id, true);
    this.#options.log.error(facts, message);
  }
}
