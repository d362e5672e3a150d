/**
 * What has voided answers: of a partner all that were read or asked before something of its revocations was lost, of a token those from
 * before its end was sent. Who took one before holds it still, and marks alone would not tell.
 */
import { Bounded } from '../core/bounded.ts';
import type { PartnerUid } from '../core/ids.ts';
import { foreignLimits } from '../core/limits.ts';

/** When an answer was read or asked, and for what. */
export interface Basis {
  /** Of the cache. */
  readonly key: string;
  readonly asOf: number;
}

export class Voids {
  #count = 0;
  readonly #partners = new Map<PartnerUid, number>();
  /** Not by partner: whoever ends tokens of his own is not to keep others of his cloud from an answer. */
  readonly #keys = new Bounded<number>(foreignLimits.negativeEntries);

  /** For an answer that is to be read or asked now. */
  basis(key: string): Basis {
    return { key, asOf: this.#count };
  }

  ofPartner(uid: PartnerUid): void {
    this.#partners.set(uid, ++this.#count);
  }

  ofKey(key: string): void {
    this.#keys.set(key, ++this.#count);
  }

  has(uid: PartnerUid, { key, asOf }: Basis): boolean {
    return (this.#partners.get(uid) ?? 0) > asOf || (this.#keys.get(key) ?? 0) > asOf;
  }
}
