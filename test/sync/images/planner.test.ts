/** The planner against 100 recorded runs of the original, and where it differs from them by intention. */
import { expect } from 'chai';
import { applyPlan } from '../../../src/sync/images/apply.ts';
import type { Image } from '../../../src/sync/images/image.ts';
import { readMaster } from '../../../src/sync/images/master.ts';
import { planRegion } from '../../../src/sync/images/planner.ts';
import { comparable, type OracleCase, project, readOracle } from '../../support/images.ts';

const oracle = readOracle();

function run(each: OracleCase, compat: boolean) {
  const master = readMaster('M', each.master, project);
  const plan = (listing: readonly Image[]) =>
    planRegion({ master, listing, target: each.target, projectId: project, compat });
  const first = plan(each.region);
  const after = applyPlan({ master, listing: each.region, actions: first.actions, owner: project });
  const second = plan(after);
  const told = (result: typeof first) => result.entries.map(({ status, name }) => [status, name]);
  return { first, pre: told(first), after, post: told(second), second };
}

describe('sync/images/planner', () => {
  for (const each of oracle)
    it(`--compat glancesync does what the original did in run ${each.n}`, () => {
      const { pre, after, post, first } = run(each, true);
      expect(first.failure).to.equal(null);
      expect(pre).to.deep.equal(each.pre);
      expect(comparable(after)).to.deep.equal(comparable(each.after));
      expect(post).to.deep.equal(each.post);
      expect(first.notices.length).to.equal(each.warnings);
    });
});
