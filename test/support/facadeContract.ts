/** What a facade must be to clients of the Keystone behind it: the same, field by field; for the embedded one and for a real one. */
import { expect } from 'chai';
import { openFacade, type TestFacade } from './facade.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  createKeystoneApi,
  inDefault,
  type KeystoneApi,
  passwordLogin,
  type RunningKeystone,
} from './keystoneApi.ts';

/** Headers that clients read. */
const compared = ['content-type', 'vary', 'www-authenticate', 'x-subject-token', 'allow', 'retry-after'];

const shown = ({ status, headers, text }: ApiAnswer) => ({
  status,
  headers: Object.fromEntries(compared.map((name) => [name, headers.get(name)])),
  body: headers.get('content-type')?.startsWith('application/json') && text !== '' ? JSON.parse(text) : text,
});

interface Endpoint {
  url: string;
}
interface Catalogued {
  token: { catalog?: { type: string; endpoints: Endpoint[] }[] };
}

const identityUrls = (body: Catalogued): string[] =>
  (body.token.catalog ?? [])
    .filter(({ type }) => type === 'identity')
    .flatMap(({ endpoints }) => endpoints.map(({ url }) => url));

export function describeFacade(name: string, open: () => Promise<RunningKeystone>): void {
  describe(name, () => {
    let keystone: RunningKeystone;
    let direct: KeystoneApi;
    let facade: TestFacade;
    let admin: string;
    let member: { id: string; login: object; token: string };

    before(async () => {
      keystone = await open();
      direct = createKeystoneApi(keystone.url);
      facade = await openFacade(keystone);
      admin = await direct.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
      const project = await direct.create(admin, 'project', { name: 'of-the-facade' });
      const made = await direct.create(admin, 'user', {
        name: 'behind-the-facade',
        password: 'pw',
        default_project_id: project.id,
      });
      await direct.grant(admin, project.id, made.id, 'member');
      const login = passwordLogin('behind-the-facade', 'pw', { project: { id: project.id } });
      member = { id: made.id, login, token: await direct.login(login) };
    });
    after(async () => {
      await facade?.stop();
      await keystone?.stop();
    });

    /** Asks both, and finds no difference. */
    async function same(method: string, path: string, request: ApiRequest = {}) {
      const [there, here] = [await direct.call(method, path, request), await facade.api.call(method, path, request)];
      expect(shown(here)).to.deep.equal(shown(there));
      expect(here.headers.get('x-openstack-request-id')).to.match(/^req-/);
      return shown(here);
    }

    for (const method of ['GET', 'HEAD']) {
      it(`shows local tokens as Keystone does: ${method}`, async () => {
        for (const search of ['', '?nocatalog', '?allow_expired=1', '?nocatalog&allow_expired=1'])
          for (const subject of [member.token, admin]) {
            const { status } = await same(method, `/auth/tokens${search}`, { token: admin, subject });
            expect(status).to.equal(200);
          }
      });

      it(`refuses what Keystone refuses, in its words: ${method}`, async () => {
        const validate = async (request: ApiRequest) => (await same(method, '/auth/tokens', request)).status;
        expect(await validate({ token: admin, subject: 'gAAAAAforged' })).to.equal(404);
        expect(await validate({ token: admin })).to.equal(404);
        expect(await validate({ subject: member.token })).to.equal(401);
        expect(await validate({ token: 'gAAAAAforged', subject: member.token })).to.equal(401);
        expect(await validate({ token: member.token, subject: admin })).to.equal(403);
        expect(await validate({ token: member.token, subject: member.token })).to.equal(200);
      });
    }

    it('logs in as Keystone does, but for the identity endpoints of the catalog', async () => {
      for (const search of ['', '?nocatalog']) {
        const path = `/auth/tokens${search}`;
        const [there, here] = [
          await direct.must('POST', path, { body: member.login }),
          await facade.api.must('POST', path, { body: member.login }),
        ];
        const [theirs, ours] = [there, here].map(({ text }) => JSON.parse(text) as Catalogued) as [
          Catalogued,
          Catalogued,
        ];
        const urls = identityUrls(ours);
        expect(new Set(urls)).to.deep.equal(new Set(search === '' ? [`${facade.url}/v3`] : []));
        expect(urls).to.have.length(identityUrls(theirs).length);
        for (const service of theirs.token.catalog ?? [])
          if (service.type === 'identity') for (const endpoint of service.endpoints) endpoint.url = `${facade.url}/v3`;
        for (const { token } of [theirs, ours])
          Object.assign(token, { audit_ids: null, expires_at: null, issued_at: null });
        expect(ours).to.deep.equal(theirs);
        expect(here.status).to.equal(there.status);
        const token = here.headers.get('x-subject-token')!;
        expect((await direct.call('GET', '/auth/tokens', { token: admin, subject: token })).status).to.equal(200);
      }
    });

    it('refuses logins in Keystone’s words', async () => {
      const login = async (body: unknown) => (await same('POST', '/auth/tokens', { body })).status;
      expect(await login(passwordLogin('behind-the-facade', 'wrong'))).to.equal(401);
      expect(await login('{"auth": ')).to.equal(400);
      expect(await login({ auth: {} })).to.equal(400);
    });

    it('revokes, and sees at once that it did', async () => {
      const { login } = member;
      const { own } = facade.doubles;
      own.length = 0;
      const issued = await facade.api.must('POST', '/auth/tokens', { body: login });
      const token = issued.headers.get('x-subject-token')!;
      const expiresAt = Date.parse(String(issued.at('token.expires_at')));
      expect(own).to.deep.equal([`issued ${token} ${expiresAt} ${issued.at('token.audit_ids.0')}`]);
      const revoke = (who: string) => facade.api.call('DELETE', '/auth/tokens', { token: who, subject: token });
      expect((await facade.api.call('GET', '/auth/tokens', { token: admin, subject: token })).status).to.equal(200);
      expect([(await revoke(admin)).status, (await revoke(admin)).status]).to.deep.equal([204, 404]);
      expect(own.slice(1)).to.deep.equal(['revoked']);
      expect((await same('GET', '/auth/tokens', { token: admin, subject: token })).status).to.equal(404);
      expect((await same('DELETE', '/auth/tokens', { token: admin, subject: token })).status).to.equal(404);
      expect((await same('DELETE', '/auth/tokens', { token: 'forged', subject: token })).status).to.equal(401);
    });

    it('carries home what those revoke who may revoke any token here, and not what others do', async () => {
      const made = await direct.create(admin, 'user', { name: 'only-validates', password: 'pw' });
      const projects = await direct.must('GET', '/projects?name=of-the-facade', { token: admin });
      const project = String(projects.at('projects.0.id'));
      await direct.grant(admin, project, made.id, 'service');
      const service = await direct.login(passwordLogin('only-validates', 'pw', { project: { id: project } }));
      const revoke = async (token: string) => {
        const answer = await facade.api.call('DELETE', '/auth/tokens', { token, subject: 'a1.east.gAAAAAforeign' });
        return answer.status;
      };
      const { doubles } = facade;
      doubles.asked.length = 0;
      const subject = 'a1.east.gAAAAAforeign';
      expect((await facade.api.call('GET', '/auth/tokens', { token: service, subject })).status).to.equal(200);
      expect((await same('DELETE', '/auth/tokens', { token: service, subject: member.token })).status).to.equal(403);
      expect([await revoke(service), await revoke(member.token), await revoke('forged')]).to.deep.equal([
        403, 403, 401,
      ]);
      expect(doubles.asked.filter((each) => each.startsWith('revoke'))).to.deep.equal([]);
      expect(await revoke(admin)).to.equal(204);
      expect(doubles.asked.filter((each) => each.startsWith('revoke'))).to.have.length(1);
      // Without a token to end, Keystone tells who may end any.
      for (const [token, status] of [
        [service, 403],
        [admin, 404],
      ] as const)
        expect((await same('DELETE', '/auth/tokens', { token })).status).to.equal(status);
    });

    it('tells its versions, with links to itself', async () => {
      const root = new URL(keystone.url).origin;
      for (const [path, status] of [
        ['/', 300],
        ['/v3', 200],
        ['/v3/', 200],
      ] as const) {
        const there = await fetch(root + path, { redirect: 'manual' });
        const here = await fetch(facade.url + path, { redirect: 'manual' });
        expect(here.status).to.equal(status);
        const translate = (text: string | null) => text?.replaceAll(root, facade.url) ?? null;
        expect(await here.json()).to.deep.equal(JSON.parse(translate(await there.text())!));
        expect(here.headers.get('location')).to.equal(translate(there.headers.get('location')));
      }
      const head = await fetch(facade.url, { method: 'HEAD', redirect: 'manual' });
      expect(head.status).to.equal(300);
    });

    it('hands every other path on: reading, changing, and what is not there', async () => {
      expect((await same('GET', '/users?name=behind-the-facade', { token: admin })).status).to.equal(200);
      expect((await same('GET', '/users', { token: member.token })).status).to.equal(403);
      expect((await same('GET', '/auth/projects', { token: member.token })).status).to.equal(200);
      expect((await same('GET', '/nowhere', { token: admin })).status).to.equal(404);
      expect((await same('HEAD', `/users/${member.id}`, { token: admin })).status).to.equal(200);
      expect((await same('PUT', '/auth/tokens', { token: admin, subject: member.token })).status).to.equal(405);
      const made = await facade.api.create(admin, 'project', { name: 'made-through-the-facade' });
      expect((await same('GET', `/projects/${made.id}`, { token: admin })).status).to.equal(200);
      const renamed = { project: { description: 'ä ö ü' } };
      await facade.api.must('PATCH', `/projects/${made.id}`, { token: admin, body: renamed });
      expect((await same('GET', `/projects/${made.id}`, { token: admin })).status).to.equal(200);
      expect((await facade.api.call('DELETE', `/projects/${made.id}`, { token: admin })).status).to.equal(204);
    });
  });
}
