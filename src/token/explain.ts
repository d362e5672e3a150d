/** How a token is recognised, step by step, and what its issuer says of it. Nothing in here holds the token. */
import { performance } from 'node:perf_hooks';
import type { Config } from '../core/config.ts';
import { toAllianceError } from '../core/errors.ts';
import type { CloudId } from '../core/ids.ts';
import type { ForeignVerdict } from './foreign.ts';
import type { Found, Recognised, Router, Step } from './routing/router.ts';

export interface ExplainedStep {
  readonly step: Step | 'local';
  /** Whether configuration has it switched on. */
  readonly on: boolean;
  /** `recognised`, `unusable`, `no`, `not asked`, or the name of an error. */
  readonly outcome: string;
  readonly ms: number;
}

export interface Explanation {
  /** The token as it may be shown. */
  readonly token: string;
  /** In the order in which they are taken; those after the one that recognised the token are `not asked`. */
  readonly steps: readonly ExplainedStep[];
  /** `local`: this cloud's own; null: nobody's, or that of a cloud that is not asked. */
  readonly issuer: CloudId | 'local' | null;
  readonly recognised: Recognised | null;
  readonly verdict: ForeignVerdict | null;
  /** What the issuer took to say it. */
  readonly verdictMs: number | null;
}

export interface ExplainOptions {
  readonly allowExpired?: boolean;
  /** Whether this cloud's Keystone knows the token; absent where there is none. */
  readonly local?: (token: string) => Promise<boolean>;
}

interface Means {
  readonly token: string;
  readonly router: Router;
  /** Whether it is this cloud's own, although it is not valid here. */
  readonly isOurs: (token: string) => Promise<boolean>;
  readonly tokens: Config['tokens'];
  readonly validate: (recognised: Recognised, options: { allowExpired: boolean }) => Promise<ForeignVerdict>;
}

/** Enough to tell which of several it is, and of no other use. */
const redactToken = (token: string): string =>
  `${token.slice(0, Math.min(8, token.length >> 2))}... (${token.length} characters)`;

export async function explain(means: Means, options: ExplainOptions): Promise<Explanation> {
  const { token, router, isOurs, tokens, validate } = means;
  const { allowExpired = false, local } = options;
  const steps: ExplainedStep[] = [];
  let found: Found | 'local';
  const take = async (step: ExplainedStep['step'], on: boolean, work: () => Promise<Found | 'local'> | Found) => {
    const startedAt = performance.now();
    let outcome = 'not asked';
    if (on && found === undefined)
      try {
        found = await work();
        outcome = found === undefined ? 'no' : found === 'unusable' ? found : 'recognised';
      } catch (thrown) {
        outcome = toAllianceError(thrown).errorName;
      }
    steps.push({ step, on, outcome, ms: performance.now() - startedAt });
  };
  await take('qualified', tokens.qualified, () => router.qualified(token));
  const signed = () => take('jws', tokens.jws, () => router.jws(token));
  if (router.signedFirst) await signed();
  await take('local', local !== undefined, async () =>
    (await local!(token)) ? 'local' : (await isOurs(token)) ? 'unusable' : undefined,
  );
  if (steps.every(({ step }) => step !== 'jws')) await signed();
  await take('known', tokens.known, () => router.remembered(token));
  await take('hint', tokens.ask === 'hint', () => router.hint(token));
  await take('ask', typeof tokens.ask !== 'string', () => router.ask(token, { allowExpired }));

  const shown = { token: redactToken(token), steps };
  if (found === undefined || found === 'unusable' || found === 'local')
    return { ...shown, issuer: found === 'local' ? found : null, recognised: null, verdict: null, verdictMs: null };
  const startedAt = performance.now();
  const verdict = await validate(found, { allowExpired });
  const verdictMs = performance.now() - startedAt;
  return { ...shown, issuer: found.partner.cloudId, recognised: found, verdict, verdictMs };
}
