/** Partners' mappings as they are now, parsed: read again as soon as the trust epoch has changed, and only then. */
import type { TrustView } from '../client/trustView.ts';
import type { PartnerUid } from '../core/ids.ts';
import type { Logger } from '../core/log.ts';
import { sha256 } from '../crypto/bytes.ts';
import type { StoredMapping } from '../model/mapping.ts';
import type { Partner } from '../model/partner.ts';
import { type Mapping, readMapping } from './mapping/mapping.ts';
import type { Omission } from './mapping/outcome.ts';

export interface MappingsOptions {
  readonly store: { readonly mappings: { get(partnerUid: PartnerUid): Promise<StoredMapping | null> } };
  readonly view: Pick<TrustView, 'epoch'>;
  readonly log: Logger;
}

export interface MappingInForce {
  readonly mapping: Mapping;
  /** The beginning of the SHA-256 that the audit has of it. */
  readonly version: string;
}

interface Known {
  readonly epoch: number;
  readonly mapping: Promise<MappingInForce | Omission>;
}

export class MappingsInForce {
  readonly #options: MappingsOptions;
  readonly #known = new Map<PartnerUid, Known>();

  constructor(options: MappingsOptions) {
    this.#options = options;
  }

  of(partner: Partner): Promise<MappingInForce | Omission> {
    const { uid } = partner;
    // Before the mapping is read: what is stored later comes with another epoch.
    const { epoch } = this.#options.view;
    const known = this.#known.get(uid);
    if (known?.epoch === epoch) return known.mapping;
    const reading: Known = { epoch, mapping: this.#read(partner) };
    this.#known.set(uid, reading);
    reading.mapping.catch(() => {
      if (this.#known.get(uid) === reading) this.#known.delete(uid);
    });
    return reading.mapping;
  }

  async #read({ uid, cloudId }: Partner): Promise<MappingInForce | Omission> {
    const { store, log } = this.#options;
    const stored = await store.mappings.get(uid);
    if (!stored) return { reason: 'no_mapping', details: `There is no mapping for ${cloudId}.` };
    try {
      const version = sha256(stored.rules).toString('hex').slice(0, 16);
      return { mapping: readMapping(stored.rules), version };
    } catch (error) {
      log.error(
        { partner: cloudId, err: error },
        'The stored mapping cannot be read; nobody of this partner has access.',
      );
      return { reason: 'mapping_unreadable', details: `The mapping for ${cloudId} cannot be read any more.` };
    }
  }
}
