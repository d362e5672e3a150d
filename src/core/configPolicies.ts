/** One of `images.policies`: a sync that a running broker does by itself. */
import { z } from 'zod';
import { parseCron, parseTimeZone } from './cron.ts';
import { AllianceError } from './errors.ts';
import { imageLimits, imagePolicyLimits } from './limits.ts';

const text = () => z.string().min(1).max(1024);

/** Undefined where a parser of ours understands it. */
function complaintOf(parse: (text: string) => unknown, value: string): string | undefined {
  try {
    parse(value);
    return undefined;
  } catch (error) {
    if (error instanceof AllianceError) return error.details ?? error.message;
    throw error;
  }
}

const understoodBy = (parse: (text: string) => unknown) =>
  text().superRefine((value, context) => {
    const message = complaintOf(parse, value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const words: ReadonlySet<string> = new Set(['manual', 'event']);
const parseTrigger = (value: string): unknown => words.has(value) || parseCron(value);

export const imagePolicy = z.strictObject({
  from: text()
    .optional()
    .describe('Region whose images go to the others, named as in `regions`; `images.master_region` when not given.'),
  regions: z
    .array(text())
    .max(imagePolicyLimits.words)
    .default([])
    .describe('Regions, named as on the command line: `R`, `other:R`, `east:`; empty: all of this cloud.'),
  only: z
    .array(text())
    .max(imagePolicyLimits.words)
    .default([])
    .describe('Names of the images; empty: all that the targets select.'),
  condition: z
    .string()
    .max(imageLimits.expressionCharacters)
    .optional()
    .describe("Which images are wanted, instead of the targets' own `metadata_condition`."),
  parallel: z.int().min(1).max(64).optional().describe('Regions at a time; `images.parallel` when not given.'),
  bwlimit: text()
    .optional()
    .describe('Bandwidth of this policy, written as `images.bwlimit`, which holds when not given.'),
  trigger: understoodBy(parseTrigger)
    .default('manual')
    .describe(
      'When it runs: `manual`, only when asked; `event`, when an image becomes active or changes in the region that they come from; or a cron expression of five fields, such as `30 2 * * *`.',
    ),
  time_zone: understoodBy(parseTimeZone)
    .default('UTC')
    .describe('Zone of the cron expression, such as `Europe/Madrid`.'),
  overlap: z
    .enum(['skip', 'queue'])
    .default('skip')
    .describe(
      'What becomes of a run that is due while one of this policy is active: `skip`, or `queue` (one, for afterwards).',
    ),
});

/** What holds for a key that a policy does not have. */
export const imagePolicyDefaults = imagePolicy.parse({});

/** Names are part of commands, metrics and logs. */
export const isPolicyName = (name: string): boolean => /^[a-z0-9][a-z0-9-]{0,62}$/.test(name);
