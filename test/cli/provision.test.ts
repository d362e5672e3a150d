/** `alliance provision` between two clouds, and a foreign user in the project that was made for it. */
import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { ProvisionedProject } from '../../src/wire/types.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';
import { checked } from '../support/jsonSchema.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

type View = Record<string, unknown>;

describe('alliance provision', function () {
  this.timeout(30_000);
  let keystone: SandboxKeystone;
  let east: Cloud;
  let west: Cloud;

  before(async () => {
    const env = {
      ALLIANCE_PARTNERS__WEST__PROVISION__PROJECTS: '2',
      ALLIANCE_PARTNERS__WEST__PROVISION__ROLES: 'member,reader',
      ALLIANCE_FACADE__LISTEN: '127.0.0.1:0',
    };
    keystone = await startSandboxKeystone({ region: 'east' });
    [east, west] = await Promise.all([startCloud({ cloudId: 'east', env, keystone }), startCloud({ cloudId: 'west' })]);
    await pairClouds(east, west, { role: 'both' });
  });
  after(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const run = ({ home, env }: Cloud, args: string) => runCommand(args.split(' '), { home, env });
  async function json<T = View>(cloud: Cloud, schema: string, args: string): Promise<T> {
    const { stdout, stderr } = await run(cloud, `${args} --json`);
    expect(stderr).to.equal('');
    return checked<T>(schema, JSON.parse(stdout));
  }
  const list = async (cloud: Cloud, options = '') =>
    (await json<{ projects: View[] }>(cloud, 'provision-list', `provision list${options}`)).projects;

  it('project: asks a partner, and shows what it grants', async () => {
    const command = 'provision project shop --partner east --role reader --request-id first --expires 30d';
    const made = await json(west, 'provision-project', command);
    expect(made).to.deep.include({
      partner: 'east',
      direction: 'out',
      state: 'active',
      name: 'shop',
      roles: ['reader'],
    });
    const { stdout, code } = await run(west, 'provision project lab --partner east');
    expect([code, stdout]).to.satisfy(
      ([c, text]: [number, string]) => c === 0 && /lab \([0-9a-f]{32}\) at east/.test(text),
    );
    expect(stdout).to.contain('member, reader').and.contain('when it is given back');
  });

  it('says what the partner refuses', async () => {
    for (const [args, code] of [
      ['provision project admin --partner east', 1406],
      ['provision project more --partner east', 1405],
      ['provision project x --partner west', 2404],
    ] as const) {
      const { stderr, code: exit } = await run(west, `${args} --json`);
      expect([exit, checked('error', JSON.parse(stderr)).code], args).to.deep.equal([1, code]);
    }
    const back = await run(east, 'provision project more --partner west --json');
    expect(checked('error', JSON.parse(back.stderr)).code).to.equal(1404);
  });

  it('list: on both sides', async () => {
    const [here, there] = [await list(east, ' --direction in'), await list(west, ' --partner east')];
    expect(here.map(({ name }) => name)).to.deep.equal(['shop', 'lab']);
    expect(there.map(({ project_id }) => project_id)).to.deep.equal(here.map(({ project_id }) => project_id));
    expect(await list(east, ' --direction out')).to.deep.equal([]);
    expect((await run(east, 'provision list')).stdout)
      .to.match(/^PARTNER +DIRECTION +NAME/)
      .and.match(/west +in +shop/);
  });

  it('a user of the partner has its roles there, once a mapping admits it', async () => {
    const rules = { rules: [{ remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}' } }] }] };
    const { store, view } = east.installation;
    await store.mappings.set((await east.partner('west')).uid, JSON.stringify(rules));
    await view.refresh();
    const login = (cloud: Cloud) =>
      createKeystoneApi(cloud.keystone.url).login(
        passwordLogin('admin', cloud.keystone.adminPassword, { project: inDefault('admin') }),
      );
    const { host, port } = east.broker.addresses.facade!;
    const facade = createKeystoneApi(`http://${host}:${port}/v3`);
    const [caller, foreign] = [await login(east), await login(west)];
    const validate = () => facade.call('GET', '/auth/tokens', { token: caller, subject: `a1.west.${foreign}` });
    const answer = await validate();
    expect(answer.status, answer.text).to.equal(200);
    expect(answer.at('token.project.name')).to.equal('shop');
    expect((answer.at('token.roles') as { name: string }[]).map(({ name }) => name)).to.deep.equal(['reader']);

    expect((await run(west, 'provision remove shop --partner east')).code).to.equal(0);
    expect((await run(east, 'provision remove lab --partner west --direction in')).stdout).to.contain(
      'lab of west removed',
    );
    // What a user may have besides the mapping is remembered for half a second.
    await until('the refusal', async () => (await validate()).status === 404);
  });

  it('remove: what is gone is gone on both sides', async () => {
    expect(await list(east)).to.deep.equal([]);
    const [left] = await list(west);
    expect(left).to.deep.include({ name: 'lab' });
    // East's operator has taken it back; west still has to say that it knows.
    const gone = await json(west, 'provision-remove', `provision remove ${left!.project_id} --partner east`);
    expect(gone).to.include({ name: 'lab', direction: 'out', outcome: 'removed' });
    expect(await list(west)).to.deep.equal([]);
    const again = await run(west, 'provision remove lab --partner east --json');
    expect(checked('error', JSON.parse(again.stderr)).code).to.equal(1407);
  });

  it('a request whose answer is missing says by which id it can be repeated', async () => {
    keystone.faults.always('down', { match: { method: 'POST', path: /projects/ } });
    const command = 'provision project late --partner east --role member --expires 90d --request-id later-1';
    const { code, stderr } = await run(west, command);
    expect([code, stderr]).to.satisfy(
      ([c, text]: [number, string]) => c === 1 && text.includes('--request-id later-1'),
    );
    keystone.faults.clear();
    const rows = (await run(west, 'provision list')).stdout.split('\n');
    expect(rows[0]).to.match(/REQUEST *$/);
    expect(rows[1]).to.match(/late +creating .*later-1 *$/);
    // The listed time, no time at all, and the same words as before are the same request; others are not.
    const [listed] = (await list(west)).map(({ expires_at: time }) => time);
    for (const other of ['--expires none', '--expires 2099-01-01', '--user u1', '--role reader']) {
      const refused = await run(west, `provision project late --partner east --request-id later-1 ${other} --json`);
      expect(checked('error', JSON.parse(refused.stderr)).field, other).to.equal('request_id');
    }
    const done = await json(west, 'provision-project', command);
    expect(done).to.include({ state: 'active', expires_at: listed });
    const shown = /removed +(\S+ ?\S*Z)/.exec((await run(west, command)).stdout)![1]!;
    for (const same of ['', ` --expires ${shown.replace(' ', 'T')}`])
      expect(
        await json(west, 'provision-project', `provision project late --partner east --request-id later-1${same}`),
      ).to.include({ project_id: done.project_id as string });
    expect((await run(west, 'provision list')).stdout).not.to.contain('later-1');
    const refused = await run(west, 'provision project admin --partner east');
    expect(refused.stderr).not.to.contain('--request-id');
  });

  it('one whose answer is missing can be given back', async () => {
    keystone.faults.always('down', { match: { method: 'POST', path: /projects/ } });
    expect((await run(west, 'provision project lost --partner east --request-id lost-1')).code).to.equal(1);
    keystone.faults.clear();
    const gone = await json(west, 'provision-remove', 'provision remove lost-1 --partner east');
    expect(gone).to.deep.include({ name: 'lost', direction: 'out' });
    expect((await list(west)).map(({ name }) => name)).to.deep.equal(['late']);
    expect((await list(east)).map(({ name }) => name)).to.deep.equal(['late']);
  });

  it('one that the partner answers unreadably is forgotten, and that is not called removed', async () => {
    const odd = { request_id: 'odd-1', name: 'odd', project_id: '../users', domain_id: 'd', roles: [] };
    await startFalsePartner(west, {
      answer: ({ method, reply }) => method === 'provision' && reply('provision', new ProvisionedProject(odd)),
    });
    try {
      for (const more of ['', ' --json']) {
        const asked = await run(west, 'provision project odd --partner false-one --request-id odd-1');
        expect([asked.code, asked.stderr]).to.satisfy(
          ([c, text]: [number, string]) => c === 1 && text.includes('odd-1'),
        );
        const { code, stdout, stderr } = await run(west, `provision remove odd-1 --partner false-one${more}`);
        expect([code, stderr]).to.deep.equal([3, '']);
        if (more) {
          const told = checked<View>('provision-remove', JSON.parse(stdout));
          expect(told).to.include({ name: 'odd', project_id: null, outcome: 'forgotten' });
        } else expect(stdout).to.contain('forgotten').and.contain('operator').and.not.contain('removed');
      }
    } finally {
      await stopFalsePartners();
      await west.installation.store.partners.remove((await west.partner('false-one')).uid, { notify: false });
    }
  });

  it('those whose end is near are shown in the list and by status, on both sides', async () => {
    const made = await run(west, 'provision project brief --partner east --expires 2d');
    expect(made.code, made.stderr).to.equal(0);
    for (const cloud of [west, east]) {
      const lines = (await run(cloud, 'provision list')).stdout.split('\n');
      expect(lines.find((line) => line.includes(' brief '))).to.match(/Z \(in (2 d|1 d 23 h)\)/);
      expect(lines.find((line) => line.includes(' late '))).not.to.match(/\(in /);
      const { attention } = await json<{ attention: View[] }>(cloud, 'status', 'status');
      const [ending, ...more] = attention.filter(({ kind }) => kind === 'project');
      expect(more).to.deep.equal([]);
      expect(ending!.message).to.match(/project brief.* ends in (2 d|1 d 23 h)/);
    }
    expect((await run(west, 'provision remove brief --partner east')).code).to.equal(0);
  });

  it('projects of a partner that was removed can still be seen and removed', async () => {
    expect((await run(east, 'partner remove west --yes')).code).to.equal(0);
    const [late] = await list(east, ' --partner west --direction in');
    expect(late).to.deep.include({ name: 'late', partner: 'west' });
    const gone = await json(east, 'provision-remove', 'provision remove late --partner west --direction in');
    expect(gone).to.deep.include({ name: 'late', partner: 'west', direction: 'in' });
    expect([...keystone.state.projects.values()].map(({ name }) => name)).not.to.include('late');
    const none = await run(east, 'provision list --partner west --json');
    expect(checked('error', JSON.parse(none.stderr)).name).to.equal('partner_not_found');
  });
});
