import { expect } from 'chai';
import { approve, invite } from '../../src/broker/partners.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { checked } from '../support/jsonSchema.ts';
import { until } from '../support/until.ts';

describe('alliance partner accept --wait', () => {
  let east: Cloud;
  let west: Cloud;

  beforeEach(async () => {
    [east, west] = await Promise.all([startCloud({ cloudId: 'east' }), startCloud({ cloudId: 'west' })]);
    await west.stopBroker();
  });
  afterEach(stopClouds);

  const accept = async (args: string) => {
    const { token } = await invite(east.installation);
    const words = ['partner', 'accept', '-', '--wait', ...args.split(' ')];
    return runCommand(words, { home: west.home, env: west.env, input: token });
  };
  const waiting = () => until('west waits', async () => east.partner('west').catch(() => undefined));

  it('ends with 3 when nobody can be asked in time, and says what to do next', async () => {
    const accepting = accept('--timeout 1200ms --json');
    await waiting();
    await east.stopBroker();
    const { code, stdout, stderr } = await accepting;
    expect([code, stderr]).to.deep.equal([3, '']);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => checked<{ event: string }>('partner-accept', JSON.parse(line)).event);
    expect(events).to.deep.equal(['accepted', 'pending']);
  });

  it('the same in words', async () => {
    const { code, stdout } = await accept('--timeout 10ms');
    expect(code).to.equal(3);
    expect(stdout)
      .to.contain('not approved within 10 ms: east is stored, and start `alliance --home')
      .and.contain('partner show east`');
  });

  it('ends as soon as it is approved', async () => {
    const accepting = accept('--timeout 1m --json');
    const partner = await waiting();
    await approve(east.installation, partner, String(partner.code));
    const { code, stdout } = await accepting;
    expect(code).to.equal(0);
    expect(stdout).to.contain('"event":"approved"');
  });
});
