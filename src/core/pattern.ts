/** Regular expressions of the configuration that a whole text must match; they run in time linear in its length (RE2). */
import { RE2JS } from 're2js';

/** Undefined for what is no such expression. */
export function wholeMatcher(pattern: string): ((text: string) => boolean) | undefined {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matches(text);
  } catch {
    return undefined;
  }
}
