/** Marks of revocations against Keystone's own revoke_model, and the list of a real Keystone. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import fc from 'fast-check';
import { createKeystone, type Keystone } from '../../src/lproxy/keystone.ts';
import { matches } from '../../src/token/revocation/match.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, inDefault, passwordLogin, type RunningKeystone } from '../support/keystoneApi.ts';
import { projectPath } from '../support/project.ts';
import { anyEvent, anyToken } from '../support/revocations.ts';
import { startRealKeystone } from './support.ts';

async function askKeystone(pairs: readonly unknown[]): Promise<[asWritten: boolean, asMeant: boolean][]> {
  const child = spawn('/usr/bin/python3', ['-B', projectPath('test', 'openstack', 'revocationOracle.py')]);
  child.stdin.end(pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (!stdout.startsWith('[')) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe("marks, beside Keystone's revoke_model", function () {
  this.timeout(120_000);

  it('agree with it for every pair, and revoke nothing less than it does as it is written', async () => {
    const pairs = fc.sample(fc.tuple(anyEvent, anyToken), 20_000);
    const answers = await askKeystone(pairs);
    const counts = { revoked: 0, stricter: 0 };
    for (const [index, [event, token]] of pairs.entries()) {
      const ours = matches(event, token);
      const [asWritten, asMeant] = answers[index]!;
      const pair = JSON.stringify([event, token]);
      expect(ours, pair).to.equal(asMeant);
      if (asWritten) expect(ours, pair).to.equal(true);
      if (ours) counts.revoked += 1;
      if (ours && !asWritten) counts.stricter += 1;
    }
    expect(counts.revoked).to.be.above(1000);
    console.log(`      ${pairs.length} pairs, ${counts.revoked} revoked, ${counts.stricter} by us alone`);
  });
});

describe('the list of revocations of a real Keystone', function () {
  this.timeout(180_000);
  let running: RunningKeystone;
  let keystone: Keystone;

  before(async () => {
    running = await startRealKeystone({ region: 'RegionOne' });
    keystone = createKeystone({
      authUrl: running.url,
      credentials: {
        method: 'password',
        user: { name: 'admin', domain: { id: 'default' } },
        password: running.adminPassword,
      },
      scope: { project: { name: 'admin', domain: { id: 'default' } } },
    });
  });
  after(async () => {
    await keystone?.close();
    await running?.stop();
  });

  it('names the token that was ended, and what was revoked since a time and no more', async () => {
    const api = createKeystoneApi(running.url);
    const login = () => api.login(passwordLogin('admin', running.adminPassword, { project: inDefault('admin') }));
    const [token, other] = [await login(), await login()];
    const facts = async (subject: string) => {
      const answer = await keystone.validateToken(subject);
      if (answer.status !== 'valid') throw new Error('It is not valid.');
      return answer.token;
    };
    const [ended, left] = [await facts(token), await facts(other)];
    expect(await keystone.revokeToken(token)).to.equal(true);
    const events = await keystone.revocationEvents(null);
    expect(events.filter((event) => matches(event, ended))).to.have.length(1);
    expect(events.some((event) => matches(event, left))).to.equal(false);
    const [{ revokedAt }] = events.slice(-1) as [(typeof events)[number]];
    expect(await keystone.revocationEvents(revokedAt - 1)).to.deep.include(events.at(-1)!);
    expect(await keystone.revocationEvents(revokedAt + 60_000)).to.deep.equal([]);

    const project = await api.create(other, 'project', { name: 'passing', domain_id: 'default' });
    await api.must('DELETE', `/projects/${project.id}`, { token: other });
    const after = await keystone.revocationEvents(revokedAt - 60_000);
    expect(after.some((event) => event.projectId === project.id)).to.equal(true);
  });

  it('is for services and administrators; a reader of the system may end any token it holds, and read no list', async () => {
    const api = createKeystoneApi(running.url);
    const admin = await api.login(passwordLogin('admin', running.adminPassword, { project: inDefault('admin') }));
    const user = await api.create(admin, 'user', { name: 'broker', domain_id: 'default', password: 'secret' });
    const credentials = { method: 'password', user: inDefault('broker'), password: 'secret' } as const;
    const scope = { system: { all: true } } as const;
    for (const [role, may] of [
      ['reader', false],
      ['service', true],
    ] as const) {
      const id = await api.roleId(admin, role);
      await api.must('PUT', `/system/users/${user.id}/roles/${id}`, { token: admin });
      const broker = createKeystone({ authUrl: running.url, credentials, scope });
      try {
        if (may) expect(await broker.revocationEvents(null)).to.have.length.above(0);
        else await rejection(broker.revocationEvents(null), 'keystone_refused');
        const token = await api.login(passwordLogin('admin', running.adminPassword));
        expect(await broker.revokeToken(token)).to.equal(true);
        expect(await broker.validateToken(token)).to.include({ status: 'invalid' });
      } finally {
        await broker.close();
      }
    }
  });
});
