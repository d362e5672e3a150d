/** Values by when something is due with them, the earliest first: a binary heap, so that neither putting in nor taking out looks at all. */

interface Due<V> {
  readonly at: number;
  readonly value: V;
}

export class Earliest<V> {
  readonly #heap: Due<V>[] = [];

  push(at: number, value: V): void {
    const heap = this.#heap;
    let place = heap.push({ at, value }) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (heap[parent]!.at <= at) return;
      this.#swap(place, parent);
      place = parent;
    }
  }

  /** Takes out the earliest one. */
  pop(): V | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first?.value;
    heap[0] = last;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const right = left + 1;
      let least = place;
      for (const child of [left, right]) if (child < heap.length && heap[child]!.at < heap[least]!.at) least = child;
      if (least === place) return first.value;
      this.#swap(place, least);
      place = least;
    }
  }

  #swap(one: number, other: number): void {
    const heap = this.#heap;
    [heap[one], heap[other]] = [heap[other]!, heap[one]!];
  }
}
