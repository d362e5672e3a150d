/**
 * Room for requests under way. Nobody has more of it than he leaves to all others, and of what he has the same holds again for those who
 * share it: whoever lets requests wait, one or many, there is room for the next one.
 */
export class Shares {
  readonly #total: number;
  readonly #held = new Map<string, number>();
  #count = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /**
   * Room for one request: what gives it back, once. Undefined where there is none for this one. `whom` goes from the outside in, such as
   * a partner, and who asks about its tokens.
   */
  take(...whom: readonly string[]): (() => void) | undefined {
    const keys = whom.map((_name, depth) => whom.slice(0, depth + 1).join('\n'));
    let [room, used] = [this.#total, this.#count];
    for (const key of keys) {
      const held = this.#held.get(key) ?? 0;
      room = Math.ceil((room - used + held) / 2);
      if (held >= room) return undefined;
      used = held;
    }
    this.#add(keys, 1);
    let isHeld = true;
    return () => {
      if (isHeld) this.#add(keys, -1);
      isHeld = false;
    };
  }

  #add(keys: readonly string[], change: 1 | -1): void {
    this.#count += change;
    for (const key of keys) {
      const held = (this.#held.get(key) ?? 0) + change;
      if (held > 0) this.#held.set(key, held);
      else this.#held.delete(key);
    }
  }
}
