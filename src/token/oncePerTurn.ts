/** Questions that come in one turn of the event loop share an answer, which nobody outside can tell from one of their own. */
export class OncePerTurn<T> {
  readonly #answers = new Map<string, Promise<T>>();

  get(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    if (known) return known;
    if (this.#answers.size === 0) setImmediate(() => this.#answers.clear());
    const answer = ask();
    this.#answers.set(key, answer);
    return answer;
  }
}
