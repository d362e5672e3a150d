/**
 * What this cloud, as an issuer, knows of its tokens for a short while: the answers that its Keystone gave. Bounded in age and number;
 * a token itself is never kept, only a hash under a key that dies with the process.
 */
import { createHmac, randomBytes } from 'node:crypto';
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
  readonly #known = new Map<string, TokenKnowledge>();
  readonly #options: () => SoftTokensOptions;
  readonly #isRevoked: (facts: KeystoneToken) => boolean;

  constructor(options: () => SoftTokensOptions, isRevoked: (facts: KeystoneToken) => boolean) {
    this.#options = options;
    this.#isRevoked = isRevoked;
  }

  /** `checkedAt` is when Keystone was asked. */
  learn(token: string, knowledge: TokenKnowledge): void {
    const id = this.#idOf(token);
    const known = this.#known.get(id);
    if (known && !outweighs(knowledge, known)) return;
    // Taken out and put in again, it is the youngest of the Map, and the oldest is the first to go.
    this.#known.delete(id);
    this.#known.set(id, knowledge);
    const { entries } = this.#options();
    while (this.#known.size > entries) {
      const [oldest] = this.#known.keys();
      if (oldest === undefined) return;
      this.#known.delete(oldest);
    }
  }

  /** What is known and still counts; a token past its expiry, or revoked since, is known to be invalid. */
  recall(token: string, now: number): TokenKnowledge | undefined {
    const id = this.#idOf(token);
    const known = this.#known.get(id);
    if (!known) return undefined;
    const { ageMs } = this.#options();
    const limitMs = known.status === 'valid' ? ageMs : Math.min(ageMs, tokenLimits.negativeCacheMs);
    const ageOfAnswerMs = now - known.checkedAt;
    // Kept all the same: a refusal that is too old to be told still outweighs what was asked before it. In the future lies what was
    // learned before the clock was set back.
    if (ageOfAnswerMs < 0 || ageOfAnswerMs > limitMs) return undefined;
    if (known.status === 'valid' && (known.expiresAt <= now || this.#isRevoked(known.facts)))
      return { status: 'invalid', checkedAt: known.checkedAt };
    return known;
  }

  #idOf(token: string): string {
    return createHmac('sha256', this.#key).update(token).digest('base64url');
  }
}
