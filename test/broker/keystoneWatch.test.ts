/** What readiness and metrics say of Keystone. */
import { expect } from 'chai';
import { KeystoneWatch } from '../../src/broker/keystoneWatch.ts';
import { createLogger, silentLogger } from '../../src/core/log.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { until } from '../support/until.ts';

describe('what a broker knows of its Keystone', () => {
  let keystone: SandboxKeystone;
  let cloud: Cloud;
  const start = async (env: Record<string, string> = {}) => {
    cloud = await startCloud({ cloudId: 'east', keystone, env, pauses: { keystoneMs: 20 } });
  };
  beforeEach(async () => {
    keystone = await startSandboxKeystone();
  });
  afterEach(async () => {
    await stopClouds();
    await keystone.stop();
  });
  const ready = async () => {
    const startedAt = performance.now();
    const answer = await fetch(`http://127.0.0.1:${cloud.broker.addresses.http!.port}/readyz`);
    const { checks } = (await answer.json()) as { checks: Record<string, string> };
    return { status: answer.status, keystone: checks.keystone, tookMs: performance.now() - startedAt };
  };
  const says = (state: string, timeoutMs?: number) =>
    until(`keystone is ${state}`, async () => (await ready()).keystone === state, timeoutMs);

  it('is learnt without anybody asking, and follows what becomes of it', async () => {
    await start();
    await says('ok');
    expect(await cloud.metric('alliance_keystone_up')).to.equal(1);
    const url = new URL(keystone.url);
    await keystone.stop();
    await says('keystone_unreachable');
    expect((await ready()).status).to.equal(200);
    expect(await cloud.metric('alliance_keystone_up')).to.equal(0);
    keystone = await startSandboxKeystone({ port: Number(url.port), adminPassword: keystone.adminPassword });
    await says('ok');
    expect(await cloud.metric('alliance_keystone_up')).to.equal(1);
  });

  it('that hangs keeps readiness waiting at no time, and is named within the bound of a look', async function () {
    this.timeout(20_000);
    await start();
    await says('ok');
    keystone.faults.always('hang');
    const before = keystone.faults.hits;
    await until('it is asked', () => keystone.faults.hits > before);
    const { status, tookMs } = await ready();
    expect(status).to.equal(200);
    expect(tookMs).to.be.lessThan(1000);
    await says('keystone_unreachable', 10_000);
    expect((await ready()).status).to.equal(200);
  });

  it('whose password for the broker is wrong shows as refused, from the start and without further logins', async () => {
    await start({ ALLIANCE_KEYSTONE__PASSWORD: 'wrong' });
    await says('keystone_refused');
    expect((await ready()).status).to.equal(200);
    expect(await cloud.metric('alliance_keystone_up')).to.equal(0);
    const logins = () => keystone.requests.filter(({ method }) => method === 'POST').length;
    const before = logins();
    // The broker does nothing else than look: ten scrapes are many times the pause between looks.
    for (let round = 0; round < 10; round += 1) await cloud.metric('alliance_keystone_up');
    expect([before, logins()]).to.deep.equal([1, 1]);
  });
});

describe('a watch of Keystone', () => {
  const stateAfter = (...notes: Parameters<KeystoneWatch['note']>[]) => {
    const watch = new KeystoneWatch(silentLogger);
    for (const [operation, outcome] of notes) watch.note(operation, outcome);
    return watch.state;
  };

  it('knows nothing at first, then how the last login, validation or look has ended', () => {
    expect(stateAfter()).to.equal('unknown');
    expect(stateAfter(['login', 'ok'])).to.equal('ok');
    expect(stateAfter(['validate', 'invalid'])).to.equal('ok');
    expect(stateAfter(['login', 'ok'], ['validate', 'keystone_unreachable'])).to.equal('keystone_unreachable');
    expect(stateAfter(['validate', 'keystone_unreachable'], ['regions', 'ok'])).to.equal('ok');
    expect(stateAfter(['login', 'keystone_malformed'])).to.equal('keystone_malformed');
  });

  it('learns nothing of what needs other rights, or is our own doing', () => {
    expect(stateAfter(['login', 'ok'], ['services', 'keystone_refused'])).to.equal('ok');
    expect(stateAfter(['login', 'ok'], ['validate', 'overloaded'])).to.equal('ok');
    expect(stateAfter(['login', 'keystone_refused'], ['version', 'ok'])).to.equal('keystone_refused');
  });

  it('remembers that it may not validate until it may, or until a new login brought new rights', () => {
    const refused: Parameters<KeystoneWatch['note']> = ['validate', 'keystone_refused'];
    expect(stateAfter(refused, ['regions', 'ok'])).to.equal('keystone_refused');
    expect(stateAfter(refused, ['regions', 'ok'], ['validate', 'invalid'])).to.equal('ok');
    expect(stateAfter(refused, ['login', 'ok'])).to.equal('ok');
  });

  it('logs a change once, and a recovery', () => {
    const lines: { level: string; outcome?: string }[] = [];
    const destination = { write: (line: string) => lines.push(JSON.parse(line)) };
    const watch = new KeystoneWatch(createLogger({ level: 'info', destination }));
    watch.note('login', 'ok');
    expect(lines).to.deep.equal([]);
    for (let round = 0; round < 3; round += 1) watch.note('login', 'keystone_refused');
    watch.note('login', 'ok');
    watch.close();
    watch.note('login', 'keystone_unreachable');
    expect(lines.map(({ level, outcome }) => [level, outcome])).to.deep.equal([
      ['warn', 'keystone_refused'],
      ['info', undefined],
    ]);
  });
});
