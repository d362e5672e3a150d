/** What of the section `images` cannot work although each key is well-formed: expressions and bandwidths. */
import type { Config } from '../core/config.ts';
import { type ConfigProblem, configurationError } from '../core/configProblems.ts';
import { AllianceError } from '../core/errors.ts';
import { compileCondition } from '../sync/images/condition.ts';
import { parseBandwidth } from '../sync/transfer/bandwidth.ts';

type Images = Pick<Config, 'images'>;

export function imagesProblems({ images }: Images): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const look = (path: readonly string[], text: string | undefined, parse: (text: string) => unknown): void => {
    if (text === undefined || text === '') return;
    try {
      parse(text);
    } catch (error) {
      if (!(error instanceof AllianceError)) throw error;
      problems.push({ path: ['images', ...path], problem: error.details ?? error.message });
    }
  };
  look(['bwlimit'], images.bwlimit, parseBandwidth);
  for (const [name, { metadataCondition }] of images.targets)
    look(['targets', name, 'metadata_condition'], metadataCondition, compileCondition);
  for (const [name, { condition, bwlimit }] of images.policies) {
    look(['policies', name, 'condition'], condition, compileCondition);
    look(['policies', name, 'bwlimit'], bwlimit, parseBandwidth);
  }
  return problems;
}

/** @throws AllianceError configuration, naming all of them */
export function assertImages(config: Images): void {
  const problems = imagesProblems(config);
  if (problems.length > 0) throw configurationError(problems, () => undefined);
}
