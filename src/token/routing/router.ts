/**
 * Whose token is it? Each step that configuration has switched on, in a fixed order; this cloud's own Keystone stands between `first`
 * and `last`. A token is handed to nobody here but partners that proved to hold it already, and those that the operator named.
 */
import type { TrustView } from '../../client/trustView.ts';
import type { Config } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Partner } from '../../model/partner.ts';
import type { StoredTokenKey } from '../../model/tokenKey.ts';
import { Bounded } from '../bounded.ts';
import type { Hints } from '../hints.ts';
import type { OwnSigners } from '../ownSigners.ts';
import { JwsIssuers } from './jws.ts';
import { isIssuedForm, isQualified, readQualified } from './qualified.ts';

export type Step = 'qualified' | 'jws' | 'known' | 'hint' | 'ask';

export interface Recognised {
  readonly partner: Partner;
  /** As its issuer knows it. */
  readonly token: string;
  readonly by: Step;
  /** Everybody who was to be asked has answered, and nobody else says that it is theirs: what the issuer says is worth remembering. */
  readonly settled?: true;
}

/** `unusable`: it is another cloud's, and that one is none that we ask. */
export type Found = Recognised | 'unusable' | undefined;

export interface RouterOptions {
  readonly view: TrustView;
  readonly config: () => Config;
  readonly hints: Pick<Hints, 'whoAnnounced'>;
  /** What is known of the keys of this cloud's own tokens. */
  readonly ownSigners: () => OwnSigners;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  /** Providers that proved to hold the token. Throws `unreachable` where somebody could not be asked. */
  readonly claimants: (token: string, providers: readonly Partner[]) => Promise<readonly Partner[]>;
  /** Asks one after another until `enough` say that the token is good; those. Throws `unreachable` where fewer do and one cannot be asked. */
  readonly vouching: (candidates: readonly Recognised[], options: Vouching) => Promise<readonly Recognised[]>;
  readonly log: Logger;
}

export interface Vouching {
  readonly allowExpired: boolean;
  readonly enough: number;
}

export interface LastOptions {
  readonly allowExpired?: boolean;
  /** Who wants to know, for the rate at which partners are asked. */
  readonly caller?: string;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #jws: JwsIssuers;
  /** Whose tokens are, by what their issuers said. */
  readonly #proven = new Bounded<PartnerUid>(foreignLimits.routes);
  /** Tokens about which what is known does not agree, and the log knows. */
  readonly #told = new Bounded<true>(foreignLimits.negativeEntries);

  constructor(options: RouterOptions) {
    this.#options = options;
    const { now, view, log } = options;
    const onOwn = ({ partnerUid }: StoredTokenKey): void => {
      const partner = view.partnerByUid(partnerUid)?.cloudId;
      log.error({ partner }, "The partner publishes a key that signs this cloud's own tokens: it is not used.");
    };
    this.#jws = new JwsIssuers({ now, onOwn });
  }

  /** Before this cloud's Keystone is asked: what the token itself tells. */
  first(token: string): Found {
    const qualified = this.qualified(token);
    if (qualified !== undefined || !this.signedFirst) return qualified;
    const signed = this.#signed(token);
    // There will be more time for it after this cloud's Keystone was asked.
    return signed === 'busy' ? undefined : signed;
  }

  /** Whether a signature may tell before this cloud's Keystone does: not while a partner's key could be one of this cloud's. */
  get signedFirst(): boolean {
    return this.#options.ownSigners().certain;
  }

  /**
   * Whether it is known to be another cloud's: it says so, or its issuer or a signature that was verified before did. An announcement
   * does not count, or partners could keep this cloud's own users out.
   */
  isForeign(token: string): boolean {
    const { idOf, view, ownSigners } = this.#options;
    if (isQualified(token) || this.#provenOf(token) !== undefined) return true;
    const own = ownSigners();
    return own.certain && this.#jws.isKnown(idOf(token), view.tokenKeys, own);
  }

  /** After it did not know the token: what is known here already. Throws `overloaded`. */
  known(token: string): Found {
    return this.jws(token) ?? this.remembered(token);
  }

  /** The whole of what comes after. Throws `unreachable` where somebody may know it who cannot be asked, and `overloaded`. */
  async last(token: string, options: LastOptions = {}): Promise<Recognised | undefined> {
    const found = this.known(token) ?? (await this.hint(token, options)) ?? (await this.ask(token, options));
    return found === 'unusable' ? undefined : found;
  }

  qualified(token: string): Found {
    if (!this.#options.config().tokens.qualified) return undefined;
    const qualified = readQualified(token);
    if (qualified === undefined || qualified === 'malformed') return qualified && 'unusable';
    const partner = this.#options.view.partnerByCloudId(qualified.cloudId);
    return this.#usable(partner?.uid, qualified.token, 'qualified') ?? 'unusable';
  }

  /** Throws `overloaded`. */
  jws(token: string): Found {
    const found = this.#signed(token);
    if (found === 'busy')
      throw new AllianceError('overloaded', {
        details: 'Too many signatures of tokens to verify.',
        retryAfterMs: foreignLimits.retryAfterMs,
      });
    return found;
  }

  #signed(token: string): Found | 'busy' {
    const { config, view, idOf, ownSigners } = this.#options;
    // Cheap to see for those of Fernet, which are most.
    if (!config().tokens.jws || !token.startsWith('eyJ') || !isIssuedForm(token)) return undefined;
    const uid = this.#jws.issuerOf(token, idOf(token), { stored: view.tokenKeys, own: ownSigners() });
    if (uid === undefined) return undefined;
    if (uid === 'busy') return 'busy';
    return this.#agreed(token, uid) ? (this.#usable(uid, token, 'jws') ?? 'unusable') : 'unusable';
  }

  /** By what its issuer said before, or announced. */
  remembered(token: string): Found {
    const { config, hints } = this.#options;
    if (!config().tokens.known || !isIssuedForm(token)) return undefined;
    const proven = this.#provenOf(token);
    const uid = proven ?? hints.whoAnnounced(token)[0]?.uid;
    if (uid === undefined) return undefined;
    if (!this.#agreed(token, uid)) return 'unusable';
    const usable = this.#usable(uid, token, 'known');
    // Also while its partner is not trusted, nobody else is asked about what was proven.
    return proven ? (usable ?? 'unusable') : usable;
  }

  async hint(token: string, { allowExpired = false }: LastOptions = {}): Promise<Found> {
    const { config, view, claimants, vouching, log } = this.#options;
    if (config().tokens.ask !== 'hint' || !isIssuedForm(token)) return undefined;
    const providers = [...view.partners].filter(({ uid }) => view.isProvider(uid));
    const holders = await claimants(token, providers);
    const candidates = holders.map((partner) => ({ partner, token, by: 'hint', settled: true }) as const);
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
    const [found] = await vouching(candidates, { allowExpired, enough: 1 });
    return found && { ...found, settled: true };
  }

  /** The issuer itself said that the token is its own; whoever said so first keeps it. */
  learn(token: string, { uid }: Partner): void {
    if (!this.#provenOf(token)) this.#proven.set(this.#options.idOf(token), uid);
  }

  #provenOf(token: string): PartnerUid | undefined {
    const { view, idOf } = this.#options;
    const id = idOf(token);
    const uid = this.#proven.get(id);
    if (uid && view.partnerByUid(uid)) return uid;
    this.#proven.delete(id);
    return undefined;
  }

  /** Whether nothing else that is known of the token speaks for another cloud. Where it does, somebody lies, and nobody is believed. */
  #agreed(token: string, uid: PartnerUid): boolean {
    const { config, view, hints, idOf, log } = this.#options;
    if (!config().tokens.known) return true;
    const others = [this.#provenOf(token), ...hints.whoAnnounced(token).map((partner) => partner.uid)];
    const all = new Set([uid, ...others.filter((other) => other !== undefined)]);
    if (all.size === 1) return true;
    const id = idOf(token);
    if (this.#told.get(id)) return false;
    this.#told.set(id, true);
    const partners = [...all].map((each) => view.partnerByUid(each)?.cloudId);
    log.error({ partners }, "Several partners say that a token is theirs: it is taken for nobody's.");
    return false;
  }

  #usable(uid: PartnerUid | undefined, token: string, by: Step): Recognised | undefined {
    const { view } = this.#options;
    const partner = uid && view.partnerByUid(uid);
    return partner && view.isProvider(uid) ? { partner, token, by } : undefined;
  }
}
