/** Waiting for what has no event: asks again every few milliseconds. */
import { setTimeout as delay } from 'node:timers/promises';

const pauseMs = 10;

/** The first truthy answer; throws, naming what was awaited, when there is none in time. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  timeoutMs = 12_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as Exclude<T, undefined | null | false | 0 | ''>;
    if (performance.now() > giveUpAt) throw new Error(`Not within ${timeoutMs} ms: ${what}.`);
    await delay(pauseMs);
  }
}
