/**
 * Hints (docs/protocol.md, section 9): how two clouds speak of a token without sending it. Whoever holds the token can make its key, and
 * from that the hint for a pair of clouds and the proof that answers a claim; a hint tells nobody else anything.
 */
import type { TrustView } from '../client/trustView.ts';
import { Bounded } from '../core/bounded.ts';
import type { Clock } from '../core/clock.ts';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { hintLimits } from '../core/limits.ts';
import { equalBytes, hmacSha256, lengthPrefixed } from '../crypto/bytes.ts';
import type { Partner } from '../model/partner.ts';
import { idOf, keyOf, type OwnToken, OwnTokens } from './ownTokens.ts';

/** Hints that one partner may ask about, and when it last did. */
interface Asker {
  readonly keys: Map<string, string>;
  at: number;
}

/** `asker` is the cloud that met the token, `asked` the one that may have issued it. */
const hintOf = (key: Buffer, asker: string, asked: string): Buffer =>
  hmacSha256(key, 'alliance/1 hint', lengthPrefixed(asker), lengthPrefixed(asked));

const proofOf = (key: Buffer, nonce: Uint8Array, asker: string, asked: string): Buffer =>
  hmacSha256(key, 'alliance/1 claim', nonce, lengthPrefixed(asker), lengthPrefixed(asked));

export interface HintsOptions {
  readonly view: Pick<TrustView, 'cloudId' | 'partnerByUid' | 'stateOf'>;
  readonly clock: Clock;
  /** Absent: none that outlive the process, and never all. */
  readonly own?: OwnTokens;
  /** Instead of that of `hintLimits`. */
  readonly announcedPerPartner?: number;
}

export class Hints {
  readonly #options: HintsOptions;
  readonly #own: OwnTokens;
  readonly #askers = new Map<CloudId, Asker>();
  readonly #announced = new Map<PartnerUid, Bounded<number>>();

  constructor(options: HintsOptions) {
    this.#options = options;
    this.#own = options.own ?? new OwnTokens({ clock: options.clock, allHere: () => false });
    this.#own.listen({ added: (id, key) => this.#index(id, key), removed: (_id, key) => this.#forget(key) });
  }

  /** A token that this cloud's Keystone has just issued, or that was seen and that it called valid. */
  learn(token: OwnToken, how: 'issued' | 'seen'): void {
    this.#own.learn(token, how);
  }

  /** Whether it is known as this cloud's own, valid or not. */
  isOwn(token: string): boolean {
    return this.#own.get(idOf(keyOf(token))) !== undefined;
  }

  /** Whether a token that is not known as this cloud's own is none. */
  get knowsAll(): boolean {
    return this.#own.knowsAll;
  }

  hintFor(token: string, asker: string, asked: string): Buffer {
    return hintOf(keyOf(token), asker, asked);
  }

  /** `partner` says that it issued the token of this hint. That is no proof: it tells where to ask, and nothing else. */
  announced(partner: Partner, hint: Uint8Array, expiresAt: number): void {
    if (expiresAt <= this.#options.clock.now()) return;
    const most = this.#options.announcedPerPartner ?? hintLimits.announcedPerPartner;
    const known = this.#announced.get(partner.uid) ?? new Bounded<number>(most);
    this.#announced.set(partner.uid, known);
    known.set(Buffer.from(hint).toString('base64url'), expiresAt);
  }

  /** What the partner announced is known to be another one's. */
  dropAnnouncement({ uid, cloudId }: Partner, token: string): void {
    this.#announced.get(uid)?.delete(hintOf(keyOf(token), this.#options.view.cloudId, cloudId).toString('base64url'));
  }

  /** Those that announced the token, of those that may be asked. */
  whoAnnounced(token: string): Partner[] {
    const { view, clock } = this.#options;
    const found: Partner[] = [];
    if (this.#announced.size === 0) return found;
    const key = keyOf(token);
    for (const [uid, known] of this.#announced) {
      const partner = view.partnerByUid(uid);
      if (!partner) {
        this.#announced.delete(uid);
        continue;
      }
      const expiresAt = known.get(hintOf(key, view.cloudId, partner.cloudId).toString('base64url'));
      const usable = partner.role !== 'consumer' && view.stateOf(partner) === 'active';
      if (usable && expiresAt !== undefined && expiresAt > clock.now()) found.push(partner);
    }
    return found;
  }

  /** What proves to `partner` that the token of its hint is known here; undefined when it is not. The work is the same in both cases. */
  prove(hint: Uint8Array, nonce: Uint8Array, partner: Partner): Buffer | undefined {
    const { view } = this.#options;
    const id = this.#askerOf(partner.cloudId).keys.get(Buffer.from(hint).toString('base64url'));
    const own = id === undefined ? undefined : this.#own.get(id);
    const proof = proofOf(own?.key ?? nobodysKey, nonce, partner.cloudId, view.cloudId);
    return own && proof;
  }

  verifyProof(token: string, nonce: Uint8Array, proof: Uint8Array, partner: Partner): boolean {
    return equalBytes(proofOf(keyOf(token), nonce, this.#options.view.cloudId, partner.cloudId), proof);
  }

  /** Made when a partner first asks; a partner that no longer does costs nothing. */
  #askerOf(cloudId: CloudId): Asker {
    const now = this.#options.clock.now();
    const known = this.#askers.get(cloudId);
    if (known) {
      known.at = now;
      return known;
    }
    const keys = new Map([...this.#own].map(([id, { key }]) => [this.#hintText(key, cloudId), id]));
    const made = { keys, at: now };
    this.#askers.set(cloudId, made);
    return made;
  }

  #index(id: string, key: Buffer): void {
    const now = this.#options.clock.now();
    for (const [cloudId, { keys, at }] of this.#askers)
      if (now - at > hintLimits.askerMs) this.#askers.delete(cloudId);
      else keys.set(this.#hintText(key, cloudId), id);
  }

  #forget(key: Buffer): void {
    for (const [cloudId, { keys }] of this.#askers) keys.delete(this.#hintText(key, cloudId));
  }

  #hintText(key: Buffer, asker: CloudId): string {
    return hintOf(key, asker, this.#options.view.cloudId).toString('base64url');
  }
}

const nobodysKey = Buffer.alloc(32);
