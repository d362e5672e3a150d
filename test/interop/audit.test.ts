/** An exported audit is verified by somebody else's program. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { projectPath } from '../support/project.ts';
import { runPython } from '../support/python.ts';

describe('an exported audit, in Python', function () {
  this.timeout(60_000);
  let west: Cloud;

  before(async () => {
    west = await startCloud({ cloudId: 'west' });
    await PartnerPeer.join(west, 'east');
  });
  after(stopClouds);

  it('is whole, and not when something was altered', async () => {
    const { stdout } = await runCommand(['audit', 'export'], { home: west.home, env: west.env });
    const file = `${west.home}/audit.jsonl`;
    writeFileSync(file, stdout);
    expect(Number(await runPython('audit.py', file))).to.equal(stdout.trimEnd().split('\n').length - 1);
    writeFileSync(file, stdout.replace('"partner":"east"', '"partner":"north"'));
    const thrown = await runPython('audit.py', file).catch((error: unknown) => error);
    expect(String(thrown)).to.contain('is not right');
  });

  it('hashes the vectors as we do', async () => {
    const vectors = JSON.parse(readFileSync(projectPath('test', 'vectors', 'audit.json'), 'utf8')) as {
      hash: string;
    }[];
    const { hash: head } = vectors.at(-1)!;
    const lines = [...vectors, { checkpoint: { seq: vectors.length, head } }].map((line) => JSON.stringify(line));
    const file = `${west.home}/vectors.jsonl`;
    writeFileSync(file, lines.join('\n'));
    expect(await runPython('audit.py', file)).to.equal(`${vectors.length}\n`);
  });
});
