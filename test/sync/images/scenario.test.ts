/** The scenarios of the original's own tests: status before, sync, status after, as it recorded them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { csvLine, readListing } from '../../../src/sync/images/csv.ts';
import { readScenario } from '../../../src/sync/images/scenario.ts';
import { runCommand } from '../../support/commandLine.ts';
import { temporaryDirectory } from '../../support/directory.ts';
import { comparable } from '../../support/images.ts';
import { projectPath } from '../../support/project.ts';

/** Cells of each image, without that of the region, by region. */
type Listings = Record<string, string[][]>;

interface Scenario {
  readonly name: string;
  readonly config: string;
  readonly regions: string[];
  readonly before: Listings;
  /** Of the regions that change. */
  readonly after: Listings;
  /** Status, region, name. */
  readonly pre: string[][];
  readonly post: string[][];
}

const scenarios = JSON.parse(readFileSync(projectPath('test/sync/images/scenarios.json'), 'utf8')) as Scenario[];
const listingOf = (region: string, rows: readonly string[][]): string =>
  rows.map((row) => csvLine([region, ...row])).join('');

describe('sync/images/scenario', () => {
  const directory = temporaryDirectory();
  after(() => directory.remove());

  for (const compat of [['--compat', 'glancesync'], []])
    for (const { name, config, regions, before, after, pre, post } of scenarios)
      it(`${name} ${compat.join(' ')}`, async () => {
        const path = directory.file(`${name}${compat.length}`);
        const out = directory.file(`${name}${compat.length}-out`);
        const conf = directory.file(`${name}.conf`);
        mkdirSync(path);
        writeFileSync(conf, config);
        for (const [region, rows] of Object.entries(before))
          writeFileSync(`${path}/backup_${region}.csv`, listingOf(region, rows));
        const run = async (command: string, scenario: string, ...more: string[]): Promise<string> => {
          const args = ['image', command, ...regions, '--scenario', scenario, '--glancesync-config', conf];
          return (await runCommand([...args, ...compat, '--format', 'csv', ...more])).stdout;
        };
        const lines = (statuses: readonly string[][]): string => statuses.map(csvLine).join('');
        // The empty line after each region is looked at elsewhere.
        const withoutEmpty = (text: string): string => text.replaceAll(/(?<=\n|^)\n/g, '');
        expect(withoutEmpty(await run('status', path))).to.equal(lines(pre));
        await run('sync', path, '--scenario-out', out);
        expect(withoutEmpty(await run('status', out))).to.equal(lines(post));
        const world = readScenario(out);
        for (const [region, rows] of Object.entries({ ...before, ...after }))
          expect(comparable(world.get(region)!), region).to.deep.equal(
            comparable(readListing(listingOf(region, rows))),
          );
      });
});
