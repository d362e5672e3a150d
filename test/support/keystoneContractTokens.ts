/** Contract of a Keystone: validating and revoking tokens, and what ends them. */
import { expect } from 'chai';
import type { Bench, BenchUser } from './keystoneContract.ts';

export function describeTokens(bench: () => Bench): void {
  const validate = (subject: string, search = '') =>
    bench().api.call('GET', `/auth/tokens${search}`, { token: bench().admin, subject });

  it('shows a token to those who may validate: the body of its issue, by GET and HEAD', async () => {
    const { api, admin, newUser } = bench();
    const { login } = await newUser();
    const issued = await api.call('POST', '/auth/tokens', { body: login });
    const subject = issued.headers.get('x-subject-token')!;
    const answer = await validate(subject);
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('x-subject-token')).to.equal(subject);
    expect(answer.headers.get('vary')).to.equal('X-Auth-Token');
    expect(JSON.parse(answer.text)).to.deep.equal(JSON.parse(issued.text));
    const head = await api.call('HEAD', '/auth/tokens', { token: admin, subject });
    expect([head.status, head.text]).to.deep.equal([200, '']);
    expect(head.headers.get('x-subject-token')).to.equal(subject);
    const bare = await validate(subject, '?nocatalog');
    expect(bare.at('token.catalog')).to.equal(undefined);
    expect(bare.at('token.roles')).to.deep.equal(answer.at('token.roles'));
    const expired = await validate(subject, '?nocatalog&allow_expired=1');
    expect(expired.text).to.equal(bare.text);
  });

  it('answers 404 for a token that it never issued, and for none', async () => {
    const { api, admin } = bench();
    for (const subject of ['forged', 'gAAAAABforged', undefined]) {
      const answer = await api.call('GET', '/auth/tokens', { token: admin, ...(subject && { subject }) });
      expect(answer.status).to.equal(404);
      expect(answer.at('error.code')).to.equal(404);
      expect(answer.at('error.title')).to.equal('Not Found');
    }
    expect((await api.call('HEAD', '/auth/tokens', { token: admin, subject: 'forged' })).status).to.equal(404);
  });

  it('answers 401 to callers without a valid token', async () => {
    const { keystone, api, newUser } = bench();
    const { token: subject } = await newUser();
    for (const token of [undefined, 'forged']) {
      const answer = await api.call('GET', '/auth/tokens', { subject, ...(token && { token }) });
      expect(answer.status).to.equal(401);
      expect(answer.headers.get('www-authenticate')).to.equal(`Keystone uri="${keystone.url}"`);
    }
  });

  it('lets everybody see their own tokens, and others only with a role for it', async () => {
    const { api, admin, newUser } = bench();
    const [user, service] = await Promise.all([newUser(), newUser('service')]);
    const by = (token: string, subject: string) => api.call('GET', '/auth/tokens', { token, subject });
    expect((await by(user.token, user.token)).status).to.equal(200);
    expect((await by(await api.login(user.login), user.token)).status).to.equal(200);
    const refused = await by(user.token, admin);
    expect(refused.status).to.equal(403);
    expect(refused.at('error.message')).to.equal(
      'You are not authorized to perform the requested action: identity:validate_token.',
    );
    expect((await by(service.token, user.token)).status).to.equal(200);
    expect((await api.call('GET', '/services', { token: service.token })).status).to.equal(403);
  });

  it('revokes one token and keeps the others of that user', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser();
    const other = await api.login(user.login);
    const auditId = (await validate(user.token)).at('token.audit_ids.0');
    const stranger = await newUser();
    const revoke = (token: string) => api.call('DELETE', '/auth/tokens', { token, subject: user.token });
    expect((await revoke(stranger.token)).status).to.equal(403);
    expect((await revoke(admin)).status).to.equal(204);
    expect((await validate(user.token)).status).to.equal(404);
    expect((await api.call('GET', '/auth/catalog', { token: user.token })).status).to.equal(401);
    expect((await revoke(admin)).status).to.equal(404);
    expect((await validate(other)).status).to.equal(200);

    const events = await api.call('GET', '/OS-REVOKE/events', { token: admin });
    expect(events.status).to.equal(200);
    const event = (events.at('events') as { audit_id?: string }[]).find((each) => each.audit_id === auditId);
    expect(event).to.have.all.keys('audit_id', 'issued_before', 'revoked_at');
  });

  it('shows revocations to admins and services, from a time on', async () => {
    const { api, admin, newUser } = bench();
    const [user, service] = await Promise.all([newUser(), newUser('service')]);
    const list = (token: string, search = '') => api.call('GET', `/OS-REVOKE/events${search}`, { token });
    expect((await list(user.token)).status).to.equal(403);
    expect((await list(service.token)).status).to.equal(200);
    expect((await list(admin, '?since=2100-01-01T00:00:00Z')).at('events')).to.deep.equal([]);
    expect((await list(admin, '?since=nonsense')).status).to.equal(400);
  });

  /** Each needs a user of its own: revocation by user reaches every token of the same second. */
  const endings: readonly [string, (user: BenchUser) => Promise<unknown>][] = [
    ['its user is disabled', (user) => patch(`/users/${user.id}`, { user: { enabled: false } })],
    ['its user gets another password', (user) => patch(`/users/${user.id}`, { user: { password: 'another' } })],
    ['its user is deleted', (user) => remove(`/users/${user.id}`)],
    ['its project is disabled', (user) => patch(`/projects/${user.project.id}`, { project: { enabled: false } })],
    ['its project is deleted', (user) => remove(`/projects/${user.project.id}`)],
    [
      'its last role is withdrawn',
      async (user) => {
        const role = await bench().api.roleId(bench().admin, 'member');
        await remove(`/projects/${user.project.id}/users/${user.id}/roles/${role}`);
      },
    ],
  ];
  const patch = (path: string, body: unknown) => bench().api.must('PATCH', path, { token: bench().admin, body });
  const remove = (path: string) => bench().api.must('DELETE', path, { token: bench().admin });

  for (const [reason, end] of endings)
    it(`ends a token when ${reason}`, async () => {
      const user = await bench().newUser();
      expect((await validate(user.token)).status).to.equal(200);
      await end(user);
      const answer = await validate(user.token);
      expect(answer.status).to.equal(404);
      expect(answer.at('error.code')).to.equal(404);
      const login = await bench().api.call('POST', '/auth/tokens', { body: user.login });
      expect(login.status).to.equal(401);
    });

  it('brings no token back when its user is enabled again, but does with its project', async () => {
    const { newUser } = bench();
    const [first, second] = await Promise.all([newUser(), newUser()]);
    for (const enabled of [false, true]) {
      await patch(`/users/${first.id}`, { user: { enabled } });
      await patch(`/projects/${second.project.id}`, { project: { enabled } });
    }
    expect((await validate(first.token)).status).to.equal(404);
    expect((await validate(second.token)).status).to.equal(200);
  });
}
