/**
 * Hints (docs/protocol.md, section 9): how two clouds speak of a token without sending it. Whoever holds the token can make its key, and
 * from that the hint for a pair of clouds and the proof that answers a claim; a hint tells nobody else anything.
 */
import type { TrustView } from '../client/trustView.ts';
import type { Clock } from '../core/clock.ts';
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { hintLimits } from '../core/limits.ts';
import { equalBytes, hmacSha256, lengthPrefixed, sha256 } from '../crypto/bytes.ts';
import type { Partner } from '../model/partner.ts';

interface Own {
  readonly key: Buffer;
  readonly expiresAt: number;
}

/** Hints that one partner may ask about, and when it last did. */
interface Asker {
  readonly keys: Map<string, string>;
  at: number;
}

const keyOf = (token: string): Buffer => sha256('alliance/1 token', token);
const idOf = (key: Buffer): string => key.toString('base64url');

/** `asker` is the cloud that met the token, `asked` the one that may have issued it. */
const hintOf = (key: Buffer, asker: string, asked: string): Buffer =>
  hmacSha256(key, 'alliance/1 hint', lengthPrefixed(asker), lengthPrefixed(asked));

const proofOf = (key: Buffer, nonce: Uint8Array, asker: string, asked: string): Buffer =>
  hmacSha256(key, 'alliance/1 claim', nonce, lengthPrefixed(asker), lengthPrefixed(asked));

export interface HintsOptions {
  readonly view: Pick<TrustView, 'cloudId' | 'partnerByUid' | 'stateOf'>;
  readonly clock: Clock;
  /** Instead of `hintLimits`. */
  readonly limits?: { readonly ownTokens: number; readonly announcedPerPartner: number };
}

export class Hints {
  readonly #options: HintsOptions;
  readonly #limits: { readonly ownTokens: number; readonly announcedPerPartner: number };
  readonly #own = new Map<string, Own>();
  readonly #askers = new Map<CloudId, Asker>();
  readonly #announced = new Map<PartnerUid, Map<string, number>>();

  constructor(options: HintsOptions) {
    this.#options = options;
    this.#limits = options.limits ?? hintLimits;
  }

  /** A token that this cloud's Keystone issued or called valid. The token itself is not kept. */
  learn(token: string, expiresAt: number): void {
    const key = keyOf(token);
    const id = idOf(key);
    const now = this.#options.clock.now();
    if (expiresAt <= now) return;
    const isNew = !this.#own.delete(id);
    this.#own.set(id, { key, expiresAt });
    if (isNew) this.#index(id, key, now);
    for (const oldest of this.#own.keys()) {
      if (this.#own.size <= this.#limits.ownTokens) return;
      this.#forget(oldest);
    }
  }

  hintFor(token: string, asker: string, asked: string): Buffer {
    return hintOf(keyOf(token), asker, asked);
  }

  /** `partner` says that it issued the token of this hint. That is no proof: it tells where to ask, and nothing else. */
  announced(partner: Partner, hint: Uint8Array, expiresAt: number): void {
    if (expiresAt <= this.#options.clock.now()) return;
    const known = this.#announced.get(partner.uid) ?? new Map<string, number>();
    this.#announced.set(partner.uid, known);
    known.set(Buffer.from(hint).toString('base64url'), expiresAt);
    for (const oldest of known.keys()) {
      if (known.size <= this.#limits.announcedPerPartner) return;
      known.delete(oldest);
    }
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
    const { view, clock } = this.#options;
    const id = this.#askerOf(partner.cloudId).keys.get(Buffer.from(hint).toString('base64url'));
    const own = id === undefined ? undefined : this.#own.get(id);
    const proof = proofOf(own?.key ?? nobodysKey, nonce, partner.cloudId, view.cloudId);
    return own && own.expiresAt > clock.now() ? proof : undefined;
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

  #index(id: string, key: Buffer, now: number): void {
    for (const [cloudId, { keys, at }] of this.#askers)
      if (now - at > hintLimits.askerMs) this.#askers.delete(cloudId);
      else keys.set(this.#hintText(key, cloudId), id);
  }

  #forget(id: string): void {
    const own = this.#own.get(id);
    if (!own) return;
    this.#own.delete(id);
    for (const [cloudId, { keys }] of this.#askers) keys.delete(this.#hintText(own.key, cloudId));
  }

  #hintText(key: Buffer, asker: CloudId): string {
    return hintOf(key, asker, this.#options.view.cloudId).toString('base64url');
  }
}

const nobodysKey = Buffer.alloc(32);
