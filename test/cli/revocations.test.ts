/** `revocations lag` on the homes of brokers of this process, which write what it shows. */
import { expect } from 'chai';
import { announceBroker } from '../../src/cli/brokerFile.ts';
import type { Partner } from '../../src/model/partner.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { checked } from '../support/jsonSchema.ts';
import { until } from '../support/until.ts';

interface Lag {
  readonly broker_running: boolean;
  readonly providers: readonly { partner: string; state: string; head: number | null; last_error: string | null }[];
}

describe('alliance revocations lag', function () {
  this.timeout(30_000);
  let east: Cloud;
  let west: Cloud;
  let atWest: Partner;
  const lag = async (cloud: Cloud, args = '') => {
    const words = `revocations lag ${args} --json`.split(' ').filter((word) => word !== '');
    const { code, stdout } = await runCommand(words, { home: cloud.home, env: cloud.env });
    return { code, ...checked<Lag>('revocations-lag', JSON.parse(stdout)) };
  };

  before(async () => {
    [east, west] = await Promise.all([startCloud({ cloudId: 'east' }), startCloud({ cloudId: 'west' })]);
    ({ atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
  });
  after(stopClouds);

  it('says that nobody is followed where nobody is', async () => {
    expect(await lag(east)).to.deep.equal({ code: 0, broker_running: false, providers: [] });
    const { stdout } = await runCommand(['revocations', 'lag'], { home: east.home, env: east.env });
    expect(stdout).to.match(/^No providers/);
  });

  it('tells how fresh a provider is, and fails where it is not', async () => {
    const { followers } = west.installation.store;
    await until('the first state', async () => (await followers.get(atWest.uid))?.confirmedAt != null);
    expect((await lag(west)).providers[0]).to.include({ partner: 'east', state: 'paused' });

    const takeBack = announceBroker(west.broker);
    const fresh = await lag(west, 'east');
    expect(fresh).to.include({ code: 0, broker_running: true });
    expect(fresh.providers[0]).to.include({ state: 'confirmed', last_error: null });
    const table = await runCommand(['revocations', 'lag'], { home: west.home, env: west.env });
    expect(table.stdout).to.match(/^PARTNER +STATE .*\neast +confirmed/);

    await east.stopBroker();
    const late = await until(
      'it is late',
      async () => {
        const found = await lag(west);
        return found.code === 1 ? found : undefined;
      },
      15_000,
    );
    expect(late.providers[0]!.state).to.equal('unconfirmed');
    expect(late.providers[0]!.last_error).to.be.a('string');
    takeBack();
    expect((await lag(west)).code).to.equal(0);
  });
});
