/**
 * Whose token is it? Each step that configuration has switched on, in a fixed order; this cloud's own Keystone stands between `first`
 * and `last`. A token is handed to nobody here but partners that proved to hold it already, and those that the operator named.
 */
import type { TrustView } from '../../client/trustView.ts';
import { Bounded } from '../../core/bounded.ts';
import type { Config } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { foreignLimits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Partner } from '../../model/partner.ts';
import type { StoredTokenKey } from '../../model/tokenKey.ts';
import type { Claimants } from '../claimants.ts';
import type { Hints } from '../hints.ts';
import type { OwnSigners } from '../ownSigners.ts';
import type { Vouching } from '../vouching.ts';
import { Contradictions } from './contradictions.ts';
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

/** `unusable`: it is this cloud's own, or another one's that we do not ask. */
export type Found = Recognised | 'unusable' | undefined;

export interface RouterOptions {
  readonly view: TrustView;
  readonly config: () => Config;
  readonly hints: Pick<Hints, 'whoAnnounced' | 'dropAnnouncement' | 'isOwn'>;
  /** What is known of the keys of this cloud's own tokens. */
  readonly ownSigners: () => OwnSigners;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  readonly claimants: Claimants;
  readonly vouching: Vouching;
  readonly log: Logger;
}

export interface LastOptions {
  readonly allowExpired?: boolean;
  /** Who wants to know, for the rate at which partners are asked. */
  readonly caller?: string;
}

interface Proven {
  readonly uid: PartnerUid;
  /** Monotonic. */
  readonly until: number;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #jws: JwsIssuers;
  /** Whose tokens are, by what their issuers said, and until when that counts. */
  readonly #proven = new Bounded<Proven>(foreignLimits.routes);
  readonly #contradictions: Contradictions;

  constructor(options: RouterOptions) {
    this.#options = options;
    const { now, view, log } = options;
    this.#contradictions = new Contradictions(options);
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
    // There will be more time for it after this cloud's Keystone was asked; and that one has the say about its own.
    return signed === 'busy' || signed === 'own' ? undefined : signed;
  }

  /** Whether a signature may tell before this cloud's Keystone does: not while a partner's key could be one of this cloud's. */
  get signedFirst(): boolean {
    return this.#options.ownSigners().certain;
  }

  /**
   * Whether it is known to be another cloud's: it says so, or its issuer or a signature that was verified before did. An announcement
   * does not count, nor anything of a token that was issued here, or partners could keep this cloud's own users out.
   */
  isForeign(token: string): boolean {
    const { idOf, view, ownSigners, hints } = this.#options;
    if (isQualified(token)) return true;
    if (hints.isOwn(token)) return false;
    if (this.#provenOf(token) !== undefined) return true;
    const own = ownSigners();
    return own.certain && this.#jws.isKnown(idOf(token), view.tokenKeys, own);
  }

  /** Whether it is known to be this cloud's own: issued here, or signed by one of its keys. Throws `overloaded`. */
  isOwn(token: string): boolean {
    return this.#options.hints.isOwn(token) || this.#isSignedHere(token);
  }

  /** After it did not know the token: what is known here already. Throws `overloaded`. */
  known(token: string): Found {
    return this.jws(token) ?? this.remembered(token);
  }

  /** The whole of what comes after. Throws `unreachable` where somebody may know it who cannot be asked, and `overloaded`. */
  async last(token: string, options: LastOptions = {}): Promise<Recognised | undefined> {
    const found = this.known(token) ?? (await this.hint(token)) ?? (await this.ask(token, options));
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
    if (found === 'busy') throw tooManySignatures();
    return found === 'own' ? 'unusable' : found;
  }

  #signed(token: string): Found | 'own' | 'busy' {
    if (!this.#options.config().tokens.jws) return undefined;
    const uid = this.#issuerOf(token);
    if (uid === undefined) return undefined;
    if (uid === 'busy') return 'busy';
    if (uid === 'own') return 'own';
    const proven = this.#provenOf(token);
    if (proven !== undefined && proven !== uid) return this.#contradictions.disputed(token, [uid, proven]);
    this.#contradictions.dropOthers(token, uid);
    return this.#usable(uid, token, 'jws') ?? 'unusable';
  }

  #issuerOf(token: string): ReturnType<JwsIssuers['issuerOf']> {
    const { view, idOf, ownSigners } = this.#options;
    // Cheap to see for those of Fernet, which are most.
    if (!token.startsWith('eyJ') || !isIssuedForm(token)) return undefined;
    return this.#jws.issuerOf(token, idOf(token), { stored: view.tokenKeys, own: ownSigners() });
  }

  #isSignedHere(token: string): boolean {
    const signer = this.#issuerOf(token);
    if (signer === 'busy') throw tooManySignatures();
    return signer === 'own';
  }

  /** By what its issuer said before, or announced. */
  remembered(token: string): Found {
    const { config, hints } = this.#options;
    if (!config().tokens.known || !isIssuedForm(token)) return undefined;
    const proven = this.#provenOf(token);
    if (proven !== undefined) {
      this.#contradictions.dropOthers(token, proven);
      // Also while its partner is not trusted, nobody else is asked about it.
      return this.#usable(proven, token, 'known') ?? 'unusable';
    }
    const announced = hints.whoAnnounced(token).map(({ uid }) => uid);
    return announced.length > 1
      ? this.#contradictions.disputed(token, announced)
      : this.#usable(announced[0], token, 'known');
  }

  async hint(token: string): Promise<Found> {
    const { config, view, claimants } = this.#options;
    if (config().tokens.ask !== 'hint' || !isIssuedForm(token)) return undefined;
    const providers = [...view.partners].filter(({ uid }) => view.isProvider(uid));
    const holders = await claimants(token, providers);
    // Clouds claim their own tokens alone, so one of them lies. Which one is not told by who calls it good: its issuer may have ended it.
    if (holders.length > 1)
      return this.#contradictions.disputed(
        token,
        holders.map(({ uid }) => uid),
      );
    const [partner] = holders;
    return partner && { partner, token, by: 'hint', settled: true };
  }

  async ask(token: string, { allowExpired = false }: LastOptions = {}): Promise<Found> {
    const { config, view, vouching } = this.#options;
    const { ask } = config().tokens;
    if (typeof ask === 'string' || !isIssuedForm(token)) return undefined;
    const candidates = ask.flatMap((cloudId) => {
      const named = this.#usable(view.partnerByCloudId(cloudId)?.uid, token, 'ask');
      return named ? [named] : [];
    });
    const [found, second] = await vouching(candidates, { allowExpired });
    // Keystones call only their own tokens good.
    if (found && second) return this.#contradictions.disputed(token, [found.partner.uid, second.partner.uid]);
    // One that was named and is no provider now has not been heard.
    return found && candidates.length === ask.length ? { ...found, settled: true } : found;
  }

  /**
   * The issuer itself said that the token is its own; whoever said so first keeps it. What only a claim tells counts no longer than an
   * answer, so that the issuer is heard if it claims the token later.
   */
  learn({ token, by }: Recognised, { uid }: Partner): void {
    const { config, now, idOf } = this.#options;
    if (this.#provenOf(token)) return;
    const until = by === 'hint' ? now() + config().tokens.cacheMs : Number.POSITIVE_INFINITY;
    this.#proven.set(idOf(token), { uid, until });
  }

  #provenOf(token: string): PartnerUid | undefined {
    const { view, idOf, now } = this.#options;
    const id = idOf(token);
    const proven = this.#proven.get(id);
    if (proven && proven.until > now() && view.partnerByUid(proven.uid)) return proven.uid;
    this.#proven.delete(id);
    return undefined;
  }

  #usable(uid: PartnerUid | undefined, token: string, by: Step): Recognised | undefined {
    const { view } = this.#options;
    const partner = uid && view.partnerByUid(uid);
    return partner && view.isProvider(uid) ? { partner, token, by } : undefined;
  }
}

const tooManySignatures = (): AllianceError =>
  new AllianceError('overloaded', {
    details: 'Too many signatures of tokens to verify.',
    retryAfterMs: foreignLimits.retryAfterMs,
  });
