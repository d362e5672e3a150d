/** Where a partner's call goes: the region, its store, and what the operator says of this partner. */
import { partnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { partnerImageLimits } from '../../core/limits.ts';
import type { GlanceRegions } from '../../lproxy/glanceRegions.ts';
import type { ImageStore } from '../../lproxy/imageStore.ts';
import type { Partner } from '../../model/partner.ts';
import type { ImageQuota } from '../../model/partnerImage.ts';
import { assertUse, type ImageRules, regionFor, regionsOf } from './access.ts';
import type { ImagesOptions } from './images.ts';

const gib = 2 ** 30;

export interface Place {
  readonly partner: Partner;
  readonly rules: ImageRules;
  readonly region: string;
  readonly store: ImageStore;
}

export const quotaOf = ({ quotaGib, quotaImages }: ImageRules): ImageQuota => ({
  bytes: quotaGib * gib,
  images: quotaImages,
});

export class Places {
  readonly #options: ImagesOptions;

  constructor(options: ImagesOptions) {
    this.#options = options;
  }

  rulesOf({ cloudId }: Partner): ImageRules {
    return partnerConfig(this.#options.config(), cloudId).images;
  }

  /**
   * @param region as the partner names it; undefined: the one that this broker stands beside
   * @throws AllianceError not_exported, region_not_found, bad_request
   */
  async find(partner: Partner, region: string | undefined, use: 'any' | 'write'): Promise<Place> {
    const rules = this.rulesOf(partner);
    assertUse(rules, use);
    if (region !== undefined && Buffer.byteLength(region) > partnerImageLimits.regionBytes)
      throw new AllianceError('bad_request', { field: 'region', details: 'The name of the region is too long.' });
    const glance = this.#glance();
    const found = regionFor(rules, region, await this.#home(glance));
    if (use === 'write') await this.#assertProject(partner, rules, glance);
    return { partner, rules, region: found, store: await this.storeOf(found) };
  }

  /** Where the partner may make images. */
  async writable(partner: Partner): Promise<readonly string[]> {
    const rules = this.rulesOf(partner);
    return rules.write ? regionsOf(rules, await this.#home(this.#glance())) : [];
  }

  /** The details of ours are not for partners, and the field is no member of theirs. */
  storeOf(region: string): Promise<ImageStore> {
    return this.#glance().store(region);
  }

  #glance(): Pick<GlanceRegions, 'regions' | 'projectId' | 'store'> {
    const { glance } = this.#options;
    if (!glance) throw new AllianceError('not_exported', { details: 'This cloud has no Keystone configured.' });
    return glance;
  }

  async #home(glance: Pick<GlanceRegions, 'regions'>): Promise<string | null> {
    const { homeRegion } = this.#options;
    if (homeRegion !== undefined) return homeRegion;
    const [only, another] = await glance.regions();
    return only !== undefined && another === undefined ? only : null;
  }

  /** What is made belongs to the project of the broker's user, and the operator has to mean that one. */
  async #assertProject({ cloudId }: Partner, { project }: ImageRules, glance: Pick<GlanceRegions, 'projectId'>) {
    if (project !== undefined && (await glance.projectId()) === project) return;
    const details = `partners.${cloudId}.images.project is not the id of the project that the broker's user works in.`;
    this.#options.log.warn({ partner: cloudId }, `A partner can make no images: ${details}`);
    throw new AllianceError('not_exported', { details });
  }
}
