/**
 * Whose token is it? Each step that configuration has switched on, in a fixed order; this cloud's own Keystone stands between `first`
 * and `last`. A token is handed to nobody here but partners that proved to hold it already, and those that the operator named.
 */
import type { TrustView } from '../../client/trustView.ts';
import type { Config } from '../../core/config.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Partner } from '../../model/partner.ts';
import { Bounded } from '../bounded.ts';
import type { Hints } from '../hints.ts';
import { JwsIssuers } from './jws.ts';
import { isIssuedForm, readQualified } from './qualified.ts';

export type Step = 'qualified' | 'jws' | 'known' | 'hint' | 'ask';

export interface Recognised {
  readonly partner: Partner;
  /** As its issuer knows it. */
  readonly token: string;
  readonly by: Step;
}

/** `unusable`: it is another cloud's, and that one is none that we ask. */
export type Found = Recognised | 'unusable' | undefined;

export interface RouterOptions {
  readonly view: TrustView;
  readonly config: () => Config;
  readonly hints: Pick<Hints, 'whoAnnounced'>;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  /** Providers that proved to hold the token. Throws `unreachable` where nobody did and somebody could not be asked. */
  readonly claimants: (token: string, providers: readonly Partner[]) => Promise<readonly Partner[]>;
  /** Asks one after another until `enough` say that the token is good; those. Throws `unreachable` where none does and one cannot be asked. */
  readonly vouching: (candidates: readonly Recognised[], options: Vouching) => Promise<readonly Recognised[]>;
  readonly log: Logger;
}

export interface Vouching {
  readonly allowExpired: boolean;
  readonly enough: number;
}

export interface LastOptions {
  readonly allowExpired?: boolean;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #jws = new JwsIssuers();
  /** Whose tokens are, by what their issuers said. */
  readonly #proven = new Bounded<PartnerUid>(foreignLimits.routes);

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Before this cloud's Keystone is asked: what the token itself tells. */
  first(token: string): Found {
    return this.qualified(token) ?? this.jws(token);
  }

  /** After it did not know the token. Throws `unreachable` where somebody may know it who cannot be asked. */
  async last(token: string, options: LastOptions = {}): Promise<Recognised | undefined> {
    const known = this.known(token);
    const found = known ?? (await this.hint(token, options)) ?? (await this.ask(token, options));
    return found === 'unusable' ? undefined : found;
  }

  qualified(token: string): Found {
    if (!this.#options.config().tokens.qualified) return undefined;
    const qualified = readQualified(token);
    if (qualified === undefined || qualified === 'malformed') return qualified && 'unusable';
    const partner = this.#options.view.partnerByCloudId(qualified.cloudId);
    return this.#usable(partner?.uid, qualified.token, 'qualified') ?? 'unusable';
  }

  jws(token: string): Found {
    const { config, view, idOf } = this.#options;
    // Cheap to see for those of Fernet, which are most.
    if (!config().tokens.jws || !token.startsWith('eyJ') || !isIssuedForm(token)) return undefined;
    const uid = this.#jws.issuerOf(token, idOf(token), view.tokenKeys);
    return uid && (this.#usable(uid, token, 'jws') ?? 'unusable');
  }

  known(token: string): Found {
    const { config, view, hints, idOf } = this.#options;
    if (!config().tokens.known || !isIssuedForm(token)) return undefined;
    const id = idOf(token);
    const uid = this.#proven.get(id);
    // What was proven stands above what anybody announces, also while its partner is not trusted.
    if (uid && view.partnerByUid(uid)) return this.#usable(uid, token, 'known') ?? 'unusable';
    this.#proven.delete(id);
    return this.#usable(hints.whoAnnounced(token)?.uid, token, 'known');
  }

  async hint(token: string, { allowExpired = false }: LastOptions = {}): Promise<Found> {
    const { config, view, claimants, vouching, log } = this.#options;
    if (config().tokens.ask !== 'hint' || !isIssuedForm(token)) return undefined;
    const providers = [...view.partners].filter(({ uid }) => view.isProvider(uid));
    const holders = await claimants(token, providers);
    const candidates = holders.map((partner) => ({ partner, token, by: 'hint' }) as const);
    if (candidates.length < 2) return candidates[0];
    // A cloud that only met the token can prove that as well as its issuer; all of them hold it already.
    const [issuer, second] = await vouching(candidates, { allowExpired, enough: 2 });
    if (!second) return issuer ?? candidates[0];
    // Keystones call only their own tokens good, so one of the two lies, and which one cannot be told from here.
    this.#proven.delete(this.#options.idOf(token));
    const partners = [issuer, second].map((one) => one?.partner.cloudId);
    log.error({ partners }, "Two partners say that they issued the same token: it is taken for neither one's.");
    return undefined;
  }

  async ask(token: string, { allowExpired = false }: LastOptions = {}): Promise<Found> {
    const { config, view, vouching } = this.#options;
    const { ask } = config().tokens;
    if (typeof ask === 'string' || !isIssuedForm(token)) return undefined;
    const candidates = ask.flatMap((cloudId) => {
      const named = this.#usable(view.partnerByCloudId(cloudId)?.uid, token, 'ask');
      return named ? [named] : [];
    });
    return (await vouching(candidates, { allowExpired, enough: 1 }))[0];
  }

  /** The issuer itself said that the token is its own; whoever said so first keeps it. */
  learn(token: string, { uid }: Partner): void {
    const id = this.#options.idOf(token);
    const known = this.#proven.get(id);
    if (!known || !this.#options.view.partnerByUid(known)) this.#proven.set(id, uid);
  }

  #usable(uid: PartnerUid | undefined, token: string, by: Step): Recognised | undefined {
    const { view } = this.#options;
    const partner = uid && view.partnerByUid(uid);
    return partner && view.isProvider(uid) ? { partner, token, by } : undefined;
  }
}
