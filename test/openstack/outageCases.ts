/** What services answer while a partner, or their own broker, is away, and afterwards. */
import { expect } from 'chai';
import { startBrokerProcess } from '../support/brokerProcess.ts';
import { until } from '../support/until.ts';
import { expectGuest, type Setting } from './middlewareCases.ts';

export function outageCases(setting: () => Setting): void {
  it('answer 503 for users of a partner that is away, 200 for others, and both again when it is back', async () => {
    const { federation, service } = setting();
    const { east, east2, west } = federation;
    const token = `a1.east.${await east.login('ann', 'lab')}`;
    await east.cloud.stopBroker();
    expect((await service.ask(token)).status).to.equal(503);
    expectGuest(federation, await service.ask(await east2.login('ann', 'lab')), 'member');
    expect((await service.ask(await west.login('wes', 'guests'))).status).to.equal(200);
    await east.cloud.startBroker();
    const back = await untilGood(service, token);
    expectGuest(federation, back, 'member');
  });

  it('refuse what was revoked while the partner was away, as soon as it is back', async () => {
    const { federation, service } = setting();
    const { east } = federation;
    const token = await east.login('ann', 'lab');
    expect((await service.ask(`a1.east.${token}`)).status).to.equal(200);
    await east.cloud.stopBroker();
    await east.api.must('DELETE', '/auth/tokens', { token: east.admin, subject: token });
    await east.cloud.startBroker();
    await until('the refusal', async () => (await service.ask(`a1.east.${token}`)).status === 401, 20_000);
  });

  it('answer 503 while the facade is away, and as before when it is back', async () => {
    const { federation, service } = setting();
    const { east, west } = federation;
    const token = `a1.east.${await east.login('ann', 'lab')}`;
    const own = await west.login('wes', 'guests');
    const before = await service.ask(token);
    await west.cloud.stopBroker();
    for (const round of ['first', 'second']) {
      const broker = await startBrokerProcess(west.cloud);
      try {
        expect(await untilGood(service, token)).to.deep.equal(before);
        expect((await service.ask(own)).status).to.equal(200);
      } finally {
        await broker.kill();
      }
      expect((await service.ask(token)).status, `the ${round} broker is gone`).to.equal(503);
    }
  });

  it('hear after tokens.cache_ms of what Keystone keeps to itself: roles taken away, projects switched off', async () => {
    const { federation, service } = setting();
    const { east, west } = federation;
    const { api, admin, users, projects } = east;
    const env = { ...west.cloud.env, ALLIANCE_TOKENS__CACHE_MS: '2000' };
    const broker = await startBrokerProcess({ ...west.cloud, env });
    try {
      const [ofAnn, ofRae] = [
        `a1.east.${await east.login('ann', 'lab')}`,
        `a1.east.${await east.login('rae', 'archive')}`,
      ];
      for (const token of [ofAnn, ofRae]) await untilGood(service, token);
      const member = await api.roleId(admin, 'member');
      await api.must('DELETE', `/projects/${projects.lab}/users/${users.ann}/roles/${member}`, { token: admin });
      const off = { project: { enabled: false } };
      await api.must('PATCH', `/projects/${projects.archive}`, { token: admin, body: off });
      for (const token of [ofAnn, ofRae])
        await until('the refusal', async () => (await service.ask(token)).status === 401, 10_000);
    } finally {
      await broker.kill();
    }
  });
}

const untilGood = (service: Setting['service'], token: string) =>
  until(
    'a good answer',
    async () => {
      const answer = await service.ask(token);
      return answer.status === 200 && answer;
    },
    40_000,
  );
