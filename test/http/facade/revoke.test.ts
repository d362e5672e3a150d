import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { hmacSha256 } from '../../../src/crypto/bytes.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { east, openFacade, type TestFacade, validVerdict } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';

describe('facade: revocation of foreign tokens', () => {
  let keystone: SandboxKeystone;
  let facade: TestFacade;
  let admin: string;
  let demo: string;
  /** Of users who may validate. */
  const validating: string[] = [];
  const qualified = 'a1.east.gAAAAAforeign';

  before(async () => {
    keystone = await startSandboxKeystone();
    const own = createKeystoneApi(keystone.url);
    admin = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
    demo = await own.login(passwordLogin('demo', keystone.demoPassword));
    const projects = await own.must('GET', '/projects?name=admin', { token: admin });
    for (const [name, role, scope] of [
      ['glance', 'service', { project: inDefault('admin') }],
      ['auditor', 'reader', { system: { all: true } }],
    ] as const) {
      const { id } = await own.create(admin, 'user', { name, password: 'pw', domain_id: 'default' });
      const roles = await own.must('GET', `/roles?name=${role}`, { token: admin });
      const grant = `users/${id}/roles/${String(roles.at('roles.0.id'))}`;
      const place = 'system' in scope ? '/system' : `/projects/${String(projects.at('projects.0.id'))}`;
      await own.must('PUT', `${place}/${grant}`, { token: admin });
      validating.push(await own.login(passwordLogin(name, 'pw', scope)));
    }
  });
  after(() => keystone.stop());
  beforeEach(async () => {
    facade = await openFacade(keystone);
    facade.doubles.known.add('gAAAAAbare');
  });
  afterEach(async () => {
    keystone.faults.clear();
    await facade.stop();
  });

  const call = (method: string, token: string, subject: string) =>
    facade.api.call(method, '/auth/tokens', { token, subject });
  const revoke = (subject: string, token = admin) => call('DELETE', token, subject);
  const carried = () => facade.doubles.asked.filter((each) => each.startsWith('revoke'));

  it('is not for those who may only validate, as with local tokens', async () => {
    for (const token of validating) {
      expect((await call('GET', token, demo)).status).to.equal(200);
      const local = await revoke(demo, token);
      const foreign = await revoke(qualified, token);
      expect([local.status, foreign.status]).to.deep.equal([403, 403]);
      expect(foreign.text).to.equal(local.text);
      const bare = await revoke('gAAAAAbare', token);
      expect([bare.status, bare.at('error.message')]).to.deep.equal([404, 'Could not recognize Fernet token']);
      expect((await call('GET', token, qualified)).status).to.equal(200);
    }
    expect(facade.doubles.asked.filter((each) => !/^(validate|localise)/.test(each))).to.deep.equal([]);
    expect(facade.doubles.entries.map(({ kind }) => kind)).to.not.include('revocation');
  });

  it('is not for those who may neither, nor for the holder with the token itself', async () => {
    expect((await revoke(qualified, demo)).status).to.equal(403);
    expect((await revoke(qualified, 'gAAAAAforged')).status).to.equal(401);
    expect((await revoke(qualified, qualified)).status).to.equal(401);
    expect(facade.doubles.asked).to.deep.equal([]);
    expect((await revoke(qualified)).status).to.equal(204);
    expect(carried()).to.have.length(1);
  });

  it('is not done where Keystone does not say that the caller may', async () => {
    for (const kind of ['html', '500'] as const) {
      keystone.faults.always(kind, { match: { method: 'DELETE' } });
      expect((await revoke(qualified)).status, kind).to.equal(503);
    }
    expect(carried()).to.deep.equal([]);
  });

  it('is recorded with the user and the audit id', async () => {
    const verdict = validVerdict();
    facade.doubles.verdict = verdict;
    await revoke(qualified);
    const auditId = (JSON.parse(verdict.kind === 'valid' ? verdict.body : '') as { token: { audit_ids: string[] } })
      .token.audit_ids[0];
    expect(facade.doubles.entries.map(({ outcome }) => outcome)).to.deep.equal(['requested', 'revoked']);
    for (const entry of facade.doubles.entries) {
      expect(entry).to.deep.include({ kind: 'revocation', partner: 'east', subject: 'u-east' });
      expect(entry.details).to.deep.equal({
        user: { id: 'u-east', name: 'ann', domain: { id: 'd-east', name: 'East' } },
        audit_id: auditId,
        by: 'qualified',
        caller: 'admin',
      });
    }
  });

  it('is recorded with a hash where nobody says whose the token is; whoever has it can tell', async () => {
    const undecided = { kind: 'undecided', partner: east, reason: 'unreachable', retryAfterMs: 1 } as const;
    for (const [subject, token, verdict] of [
      [qualified, 'gAAAAAforeign', undecided],
      ['gAAAAAbare', 'gAAAAAbare', { kind: 'invalid', partner: east }],
      ['a1.nowhere.token', 'a1.nowhere.token', undecided],
    ] as const) {
      facade.doubles.entries.length = 0;
      facade.doubles.verdict = verdict;
      await revoke(subject);
      const hash = hmacSha256(Buffer.from(token), 'alliance/1 audit').toString('hex');
      expect(facade.doubles.entries.map((entry) => entry.details.hash)).to.deep.equal([hash, hash]);
      expect(JSON.stringify(facade.doubles.entries)).to.not.include(token);
    }
  });

  it('is recorded as undecided where it could not be carried home', async () => {
    facade.doubles.revoked = new AllianceError('deadline_exceeded');
    expect((await revoke(qualified)).status).to.equal(503);
    expect(facade.doubles.entries.map(({ outcome, subject }) => `${outcome} ${subject}`)).to.deep.equal([
      'requested u-east',
      'undecided u-east',
    ]);
  });
});
