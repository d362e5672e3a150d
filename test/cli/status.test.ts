import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { type CommandResult, runCommand } from '../support/commandLine.ts';
import { checked } from '../support/jsonSchema.ts';
import { newPartner } from '../support/store.ts';

describe('cli/status', () => {
  let cloud: Cloud;

  before(async () => {
    cloud = await startCloud({ cloudId: 'west' });
    const { store, view } = cloud.installation;
    const key = { ...newPartner('east').key, notAfter: Date.now() + 1e12 };
    await store.partners.add(newPartner('east', { key, acknowledgedSequence: view.current.sequence }));
    await cloud.stopBroker();
  });
  after(stopClouds);

  const run = (args: string): Promise<CommandResult> =>
    runCommand(args.split(' '), { home: cloud.home, env: cloud.env });

  it('active partners miss a broker that does not run', async () => {
    const { code, stdout } = await run('status --json');
    expect(code).to.equal(1);
    const { attention } = checked<{ attention: { kind: string; message: string }[] }>('status', JSON.parse(stdout));
    expect(attention.map(({ kind }) => kind)).to.deep.equal(['broker']);
    expect(attention[0]?.message).to.contain('an active partner');
  });

  it('a time beyond all years, as earlier versions took it from a partner, breaks nothing', async () => {
    const database = new Sqlite(join(cloud.home, 'alliance.db'));
    database.prepare('update partners set trust_till = ?').run(2 ** 53 - 1);
    database.close();
    for (const args of ['status', 'partner list', 'partner show east']) {
      expect((await run(args)).stderr, args).to.equal('');
      const { stdout } = await run(`${args} --json`);
      checked(args.replace(' east', '').replace(' ', '-'), JSON.parse(stdout));
      expect(stdout, args).to.contain('9999-12-31T23:59:59.999Z');
    }
    const mended = await run('partner set east --trust-till 90d');
    expect([mended.code, mended.stderr]).to.deep.equal([0, '']);
    const typed = await run('partner set east --trust-till 999999999d');
    expect([typed.code, typed.stdout]).to.deep.equal([2, '']);
  });

  it('an invitation for a name that is taken is refused at once', async () => {
    const { code, stderr } = await run('partner invite --name east');
    expect([code, stderr.includes('east is a partner already')]).to.deep.equal([1, true]);
  });
});
