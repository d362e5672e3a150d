/**
 * What this cloud, as an issuer, knows of its tokens for a short while: the answers that its Keystone gave. Bounded in age and number;
 * a token itself is never kept, only a hash under a key that dies with the process.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { Bounded } from '../core/bounded.ts';
import { type Clock, monotonic } from '../core/clock.ts';
import { tokenLimits } from '../core/limits.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';

export type TokenKnowledge =
  | {
      readonly status: 'valid';
      readonly expiresAt: number;
      readonly checkedAt: number;
      /** What revocations are matched with. */
      readonly facts: KeystoneToken;
    }
  | { readonly status: 'invalid'; readonly checkedAt: number };

interface Known {
  readonly knowledge: TokenKnowledge;
  /** By a clock that nobody sets: only time makes knowledge old. */
  readonly askedAt: number;
}

export interface SoftTokensOptions {
  readonly entries: number;
  /** How long an answer counts, ms. A refusal counts `negativeCacheMs` at most. */
  readonly ageMs: number;
}

/**
 * Answers overtake each other. A refusal always counts, as tokens do not come back to life: an approval takes its place only when it was
 * asked for later.
 */
function outweighs(learned: TokenKnowledge, known: TokenKnowledge): boolean {
  if (known.status === 'valid') return true;
  return learned.status === 'valid' ? learned.checkedAt > known.checkedAt : learned.checkedAt >= known.checkedAt;
}

export class SoftTokens {
  readonly #key = randomBytes(32);
  readonly #known: Bounded<Known>;
  readonly #options: () => SoftTokensOptions;
  readonly #isRevoked: (facts: KeystoneToken) => boolean;
  readonly #clock: Clock;

  constructor(options: () => SoftTokensOptions, isRevoked: (facts: KeystoneToken) => boolean, clock: Clock) {
    this.#options = options;
    this.#known = new Bounded(() => options().entries);
    this.#isRevoked = isRevoked;
    this.#clock = clock;
  }

  /** `checkedAt` is when Keystone was asked. */
  learn(token: string, knowledge: TokenKnowledge): void {
    const id = this.#idOf(token);
    const known = this.#known.get(id);
    if (known && !outweighs(knowledge, known.knowledge)) return;
    const spentMs = Math.max(0, this.#clock.now() - knowledge.checkedAt);
    this.#known.set(id, { knowledge, askedAt: monotonic(this.#clock) - spentMs });
  }

  /** What is known and still counts; a token past its expiry, or revoked since, is known to be invalid. */
  recall(token: string): TokenKnowledge | undefined {
    const entry = this.#known.get(this.#idOf(token));
    if (!entry) return undefined;
    const { knowledge: known, askedAt } = entry;
    const { ageMs } = this.#options();
    const limitMs = known.status === 'valid' ? ageMs : Math.min(ageMs, tokenLimits.negativeCacheMs);
    // Kept all the same: a refusal that is too old to be told still outweighs what was asked before it.
    if (monotonic(this.#clock) - askedAt > limitMs) return undefined;
    if (known.status === 'valid' && (known.expiresAt <= this.#clock.now() || this.#isRevoked(known.facts)))
      return { status: 'invalid', checkedAt: known.checkedAt };
    return known;
  }

  #idOf(token: string): string {
    return createHmac('sha256', this.#key).update(token).digest('base64url');
  }
}
