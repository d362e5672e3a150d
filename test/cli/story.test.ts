/** An operator's days, told by the command line: two homes, two `alliance serve`, everything else by commands. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { checked } from '../support/jsonSchema.ts';
import { openServedCloud, type ServedCloud, startService } from '../support/servedCloud.ts';
import { until } from '../support/until.ts';

interface PartnerView {
  readonly uid: string;
  readonly name: string;
  readonly state: string;
  readonly role: string;
  readonly code: string | null;
  readonly trust_till: string | null;
  readonly endpoints: string[];
  readonly last_error: { name: string } | null;
  readonly keys: { fingerprint: string; state: string }[];
}

describe('command line, a story', function () {
  this.timeout(60_000);
  let east: ServedCloud;
  let west: ServedCloud;
  let token: string;
  const tokenFile = () => join(west.home, 'token');

  before(async () => {
    [east, west] = await Promise.all([openServedCloud('east'), openServedCloud('west')]);
    east.configure({ partners: { west: { authenticate: true } } });
    await Promise.all([east.serve(), west.serve()]);
  });

  after(() => Promise.all([east?.stop(), west?.stop()]));

  const eastInWest = () => west.json<PartnerView>('partner-show', 'partner show east');
  const pingCode = async (args = '') => (await west.quick(`ping east --count 1 ${args}`)).code;

  it('a second init is refused, and changes nothing', async () => {
    const { code, stdout, stderr } = await east.quick('init --json');
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(checked('error', JSON.parse(stderr))).to.include({ code: 1606, name: 'already_initialised' });
  });

  it('serve says where it listens, then that it is ready', () => {
    const events = east.service.lines.map((line) => checked<{ event: string }>('serve', JSON.parse(line)));
    expect(events.map(({ event }) => event)).to.deep.equal([...Array(4).fill('listening'), 'ready']);
    expect(events[0]).to.deep.include({ face: 'tls', address: `127.0.0.1:${east.ports.tls}` });
  });

  it('an address in use is an error with a remedy', async () => {
    const { code, stderr, stdout } = await west.run(`serve --tls 127.0.0.1:${east.ports.tls} --tcp off --http off`);
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.contain('EADDRINUSE').and.contain('alliance config check');
  });

  it('nobody is there yet', async () => {
    expect(await west.json('partner-list', 'partner list')).to.deep.equal({ partners: [], invitations: [] });
    const { code, stdout } = await west.quick('status');
    expect([code, stdout]).to.deep.include(0);
    expect(stdout).to.contain('No partners yet').and.contain('Nothing needs hands.');
  });

  it('invite prints the token alone, and list shows the invitation', async () => {
    const { code, stdout, stderr } = await east.run('partner invite --ttl 1h --for nobody-else --trust-till 90d');
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.match(/^alliance1\.[\w-]+\.[\w-]+\n$/);
    const { invitations } = await east.json<{ invitations: object[] }>('partner-list', 'partner list');
    expect(invitations[0]).to.deep.include({ state: 'invited', for: 'nobody-else', role: 'both' });
    expect((await east.quick('partner list')).stdout).to.match(/nobody-else +both +invited, open for 59 min|1 h/);
    const [{ id, invitation }] = invitations as [{ id: string; invitation: string }];
    expect(Buffer.from(invitation, 'base64url').toString('hex').slice(0, 12)).to.equal(id);
    expect((await east.quick('partner list')).stdout).to.match(new RegExp(`${id}$`, 'm'));
    const { code: refused, stderr: refusal } = await west.quick('partner accept - --json', { input: stdout });
    expect(refused).to.equal(1);
    expect(checked('error', JSON.parse(refusal))).to.include({ name: 'invitation_refused' });
    expect((await west.json<{ partners: object[] }>('partner-list', 'partner list')).partners).to.deep.equal([]);
  });

  it('an open invitation is cancelled by what list shows, or by its name, and then nobody can accept it', async () => {
    const { invitations } = await east.json<{ invitations: { id: string }[] }>('partner-list', 'partner list');
    const cancelled = await east.json('partner-remove', `partner remove ${invitations[0]!.id}`);
    expect(cancelled).to.include({ outcome: 'cancelled', id: invitations[0]!.id, name: null });
    const { stdout: token } = await east.quick('partner invite --name sunset');
    expect((await east.quick('partner invite --name sunset')).code).to.equal(0);
    const { code, stderr } = await east.quick('partner remove sunset');
    expect([code, stderr])
      .to.deep.include(2)
      .and.match(/Several invitations have the name sunset: [0-9a-f]{12}, /);
    const list = async () =>
      (await east.json<{ invitations: { id: string; invitation: string }[] }>('partner-list', 'partner list'))
        .invitations;
    await east.quick(`partner remove -- ${(await list())[1]!.invitation}`);
    expect((await east.quick('partner remove sunset')).stdout).to.match(
      /^invitation [0-9a-f]{12} \(sunset\) is cancelled\n$/,
    );
    expect(await list()).to.deep.equal([]);
    expect((await east.quick('partner remove sunset --json')).stderr).to.contain('"partner_not_found"');
    expect((await west.quick('partner accept - --json', { input: token })).stderr).to.contain('"invitation_refused"');
  });

  it('west accepts from standard input and waits, east approves with the code', async () => {
    const inviting = startService(['--home', east.home, 'partner', 'invite', '--wait', '--json']);
    const invited = checked<{ token: string }>('partner-invite', JSON.parse(await inviting.said(/"invited"/)));
    const accepting = startService(['--home', west.home, 'partner', 'accept', '-', '--wait', '--json']);
    accepting.child.stdin.end(`${invited.token}\n`);
    const accepted = checked<{ partner: PartnerView }>(
      'partner-accept',
      JSON.parse(await accepting.said(/"accepted"/)),
    );
    expect(accepted.partner.state).to.equal('pending');
    const seen = checked<{ partner: PartnerView }>('partner-invite', JSON.parse(await inviting.said(/"accepted"/)));
    expect(seen.partner.code)
      .to.equal(accepted.partner.code)
      .and.match(/^.{4}-.{4}$/);
    expect(await inviting.ended).to.equal(0);

    const status = await east.quick('status');
    expect([status.code, status.stdout]).to.deep.include(1);
    expect(status.stdout).to.contain('west waits for approval. Run `alliance partner approve west --code CODE`.');
    const wrong = await east.quick('partner approve west --code 0000-0000 --json');
    expect([wrong.code, JSON.parse(wrong.stderr).name]).to.deep.equal([1, 'code_mismatch']);
    expect((await east.quick('partner approve west')).code).to.equal(2);

    const typed = String(seen.partner.code).toLowerCase();
    const approved = await east.json<PartnerView>('partner-approve', `partner approve west --code ${typed}`);
    expect(approved).to.include({ state: 'active', code: null });
    checked('partner-accept', JSON.parse(await accepting.said(/"approved"/)));
    expect(await accepting.ended).to.equal(0);
    expect((await eastInWest()).state).to.equal('active');
  });

  it('show tells all of a partner, its limits included', async () => {
    const view = await east.json<PartnerView & { limits: object }>('partner-show', 'partner show west');
    expect(view.limits).to.include({ authenticate: true, continuity: 'optional' });
    expect(view.keys.map(({ state }) => state)).to.deep.equal(['current']);
    const { stdout } = await east.quick('partner show west');
    expect(stdout)
      .to.match(/^cloud_id +west\n/)
      .and.contain('authenticate: true')
      .and.contain(view.keys[0]!.fingerprint);
  });

  it('ping measures, as a process and with --json', async () => {
    const { code, stdout } = await west.run('ping east --count 3 --interval 0.05');
    expect(code).to.equal(0);
    expect(stdout.match(/^pong from east: seq=\d time=[\d.]+ ms$/gm)).to.have.length(3);
    expect(stdout).to.match(/3 sent, 3 received, 0% lost\nrtt min\/avg\/max\/mdev = [\d./]+ ms\n$/);
    const value = await west.json<{ replies: object[] }>('ping', 'ping east --count 2 --interval 10ms');
    expect(value).to.include({ sent: 2, received: 2, loss_percent: 0 });
  });

  it('token issue prints the token alone; validate tells valid, invalid and unknown apart', async () => {
    const passwordFile = join(west.home, 'demo.password');
    writeFileSync(passwordFile, `${east.keystone.demoPassword}\n`);
    const issued = await west.run(`token issue --partner east --user demo --password-file ${passwordFile}`);
    expect([issued.code, issued.stderr]).to.deep.equal([0, '']);
    token = issued.stdout.trim();
    writeFileSync(tokenFile(), issued.stdout);
    const view = await west.json('token-issue', 'token issue --partner east --from-env --project demo', {
      env: { OS_USERNAME: 'demo', OS_PASSWORD: east.keystone.demoPassword, OS_PROJECT_NAME: 'not-this-one' },
    });
    expect((view.user as { name: string }).name).to.equal('demo');

    const valid = await west.run('token validate - --partner east', { input: issued.stdout });
    expect([valid.code, valid.stdout]).to.deep.include(0);
    expect(valid.stdout)
      .to.match(/^valid\nexpires +20/)
      .and.contain('demo (');
    const body = await west.json<{ status: string; token: object }>(
      'token-validate',
      `token validate --file ${tokenFile()} --partner east`,
    );
    expect(body.token).to.have.property('audit_ids');
    const soft = await west.json('token-validate', `token validate ${token} --partner east --soft`);
    expect(soft).to.include({ status: 'valid', reason: null }).and.not.have.property('token');

    const forged = await west.quick('token validate - --partner east', { input: `${token.slice(0, -4)}AAAA` });
    expect([forged.code, forged.stdout]).to.deep.equal([1, 'invalid\n']);
    east.keystone.faults.always('down');
    const unknown = await west.run('token validate - --partner east --json', { input: token });
    east.keystone.faults.clear();
    expect(unknown.code).to.equal(3);
    expect(checked('token-validate', JSON.parse(unknown.stdout))).to.include({
      status: 'indeterminate',
      reason: 'keystone_unreachable',
    });
  });

  it('a wrong password is refused, an absent one asked for', async () => {
    const env = { OS_USERNAME: 'demo', OS_PASSWORD: 'guess' };
    const wrong = await west.quick('token issue --partner east --from-env --json', { env });
    expect([wrong.code, JSON.parse(wrong.stderr).name]).to.deep.equal([1, 'credentials_refused']);
    const typed = await west.quick('token issue --partner east --user demo', {
      typed: [`${east.keystone.demoPassword}\r`],
    });
    expect([typed.code, typed.stdout]).to.deep.include(0);
    expect(typed.stderr).to.contain('Password: ').and.not.contain(east.keystone.demoPassword);
  });

  it('OS_ variables are not sent to a partner, unless they are meant', async () => {
    const env = { OS_USERNAME: 'demo', OS_PASSWORD: east.keystone.demoPassword, OS_PROJECT_NAME: 'demo' };
    const application = { OS_APPLICATION_CREDENTIAL_ID: 'a', OS_APPLICATION_CREDENTIAL_SECRET: 'b' };
    const says = async (args: string, more: object = {}) => {
      const { code, stdout, stderr } = await west.quick(`token issue --partner east ${args}`, {
        env: { ...env, ...more },
      });
      expect([code, stdout], stderr).to.deep.equal([2, '']);
      return stderr;
    };
    for (const more of [{}, application]) {
      expect(await says('', more)).to.contain('Whose token?');
      expect(await says('--user demo', more)).to.contain('Password is missing');
      expect(await says('--user-id demo', more)).to.contain('Password is missing');
      expect(await says('--application-credential-id a', more)).to.contain('Secret is missing');
      expect(await says('--from-env --user demo', more)).to.contain('--user or --from-env');
    }
    expect(await says('--from-env --password-file x')).to.contain('--password-file or --from-env');
    expect(await says('--from-env', { OS_PASSWORD: '' })).to.contain('Password is missing');
  });

  it('services and endpoints, filtered', async () => {
    const { endpoints } = await west.json<{ endpoints: object[] }>('endpoints', 'endpoints east --interface public');
    expect(endpoints[0]).to.include({ service_type: 'identity', region: 'east-1', url: east.keystone.url });
    const none = 'endpoints east --region elsewhere';
    expect(await west.json('endpoints', none)).to.deep.equal({ endpoints: [] });
    expect((await west.quick('endpoints east')).stdout).to.match(
      /^TYPE +NAME +REGION +INTERFACE +URL\nidentity +keystone/,
    );
    const { services } = await west.json<{ services: object[] }>('services', 'services east --type identity');
    expect(services).to.have.length(1);
    expect(await west.json('services', 'services east --region elsewhere')).to.deep.equal({ services: [] });
    expect((await west.quick('services east --interface public')).stdout).to.contain('identity  keystone');
  });

  it('sessions are listed, opened and closed', async () => {
    const opened = await west.json<{ sid: string }>('session-open', 'session open east');
    expect(opened).to.include({ partner: 'east', direction: 'initiator', live: true });
    expect(opened).to.have.property('confirmed_at').that.is.a('string');
    const { sessions } = await west.json<{ sessions: { sid: string }[] }>('session-list', 'session list east');
    expect(sessions.map(({ sid }) => sid)).to.include(opened.sid);
    expect((await east.quick('session list')).stdout).to.match(/^PARTNER +CALLS.*\nwest +partner's +live/);
    const closed = await west.json<{ closed: number }>('session-close', 'session close east');
    expect(closed.closed).to.equal(sessions.length);
    expect(await west.json('session-list', 'session list')).to.deep.equal({ sessions: [] });
    expect(await pingCode()).to.equal(0);
  });

  it('set changes what is ours, and nothing takes a foreign or reserved name', async () => {
    const named = await west.json<PartnerView>(
      'partner-set',
      'partner set east --name sunrise --trust-till 2099-01-31',
    );
    expect(named).to.include({ name: 'sunrise', trust_till: '2099-01-31T00:00:00.000Z' });
    expect((await west.quick('ping sunrise --count 1')).code).to.equal(0);
    expect((await west.quick('partner set sunrise --name all')).code).to.equal(2);
    expect((await west.quick('partner set east')).code).to.equal(2);
    const back = await west.json('partner-set', 'partner set sunrise --name east --trust-till none --role provider');
    expect(back).to.include({ name: 'east', role: 'provider', trust_till: null });
    await west.json('partner-set', 'partner set east --role both');
  });

  it('suspend takes effect in the running broker within a second, resume takes it back', async () => {
    expect(await pingCode()).to.equal(0);
    expect((await east.quick('partner suspend west')).stdout).to.match(/^west is suspended, both/);
    const from = performance.now();
    await until('west is refused', async () => (await pingCode()) === 1);
    expect(performance.now() - from).to.be.lessThan(1000);
    expect((await east.quick('partner suspend west --json')).stderr).to.contain('"illegal_transition"');
    const status = await west.json<{ attention: { kind: string }[] }>('status', 'status');
    expect(status.attention.map(({ kind }) => kind)).to.deep.equal(['error']);
    await east.json('partner-resume', 'partner resume west');
    await until('west is let in again', async () => (await pingCode()) === 0, 3000);
  });

  it('doctor finds all well', async () => {
    const { code, stdout } = await west.run('partner doctor east');
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/^CHECK +RESULT +WHAT\ntrust +ok/)
      .and.match(/keystone +ok/);
  });

  it('doctor finds what is wrong: Keystone, port, name, policy, trust', async () => {
    type Checks = { ok: boolean; checks: { name: string; outcome: string; remedy: string | null }[] };
    const failing = async () => {
      const { code, stdout } = await west.quick('partner doctor east --json');
      const { ok, checks } = checked<Checks>('partner-doctor', JSON.parse(stdout));
      expect([code, ok]).to.deep.equal([1, false]);
      for (const check of checks) expect(check.remedy !== null, check.name).to.equal(check.outcome === 'failed');
      return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name.split(' ')[0]);
    };
    east.keystone.faults.always('down');
    expect(await failing()).to.deep.equal(['keystone']);
    east.keystone.faults.clear();
    const { endpoints } = await eastInWest();
    await west.json(
      'partner-set',
      `partner set east --endpoint tls://127.0.0.1:1 --endpoint tls://nowhere.invalid:9443`,
    );
    expect(await failing()).to.deep.equal(['tcp', 'dns', 'session']);
    await west.json('partner-set', `partner set east --endpoint tls://127.0.0.1:${east.ports.tcp}`);
    expect(await failing()).to.deep.equal(['tls', 'session']);
    await west.json('partner-set', 'partner set east --endpoint tls://169.254.169.254:80');
    expect(await failing()).to.deep.equal(['tcp', 'session']);
    await west.json('partner-set', `partner set east --endpoint tls://127.0.0.1:${west.ports.tls}`);
    expect(await failing()).to.deep.equal(['tls', 'session']);
    expect(await pingCode()).to.equal(1);
    await west.json('partner-set', `partner set east ${endpoints.map((one) => `--endpoint ${one}`).join(' ')}`);
    await west.quick('partner suspend east');
    expect(await failing()).to.deep.equal(['trust', 'session']);
    await west.quick('partner resume east');
    expect(await pingCode()).to.equal(0);
  });

  it('identity rotate tells the partners at once', async () => {
    const before = await west.json<{ identities: { fingerprint: string }[] }>('identity-show', 'identity show');
    const rotated = await west.json<{ fingerprint: string }>('identity-rotate', 'identity rotate --overlap 1d');
    expect(rotated).to.deep.include({ sequence: 2, compromised: false, partners: [{ cloud_id: 'east', told: true }] });
    expect(rotated).to.include({ former_fingerprint: before.identities[0]!.fingerprint });
    const { keys } = await east.json<PartnerView>('partner-show', 'partner show west');
    expect(keys.map(({ state, fingerprint }) => [state, fingerprint])).to.deep.equal([
      ['current', before.identities[0]!.fingerprint],
      ['next', rotated.fingerprint],
    ]);
    expect((await west.quick('identity show')).stdout)
      .to.contain('2, current')
      .and.contain('1, overlap');
    expect((await west.quick('identity rotate --json')).stderr).to.contain('rotation_overlap');
    expect((await east.quick('partner show west')).stdout).to.match(/ current, .*, replaced in .* at the latest\n/);
    expect(await pingCode()).to.equal(0);
    await west.quick('session open east');
    expect((await east.quick('partner show west')).stdout).to.match(/ retired, [\w-]+, counts no more\n/);
  });

  it('identity rotate says who could not be told, with exit code 3', async () => {
    const { endpoints } = await east.json<PartnerView>('partner-show', 'partner show west');
    await east.quick('partner set west --endpoint tls://127.0.0.1:1');
    const { code, stdout } = await east.quick('identity rotate --json');
    expect(code).to.equal(3);
    const { partners } = checked<{ partners: object[] }>('identity-rotate', JSON.parse(stdout));
    expect(partners[0]).to.deep.include({ cloud_id: 'west', told: false });
    await east.quick(`partner set west --endpoint ${endpoints[0]}`);
  });

  it('status is one screen with the running broker in it', async () => {
    const { stdout } = await east.quick('status');
    expect(stdout)
      .to.match(/^cloud +east, version \d/)
      .and.match(/broker +running, pid \d+, up .*, channels \d out, \d in/);
    expect(stdout).to.contain(`answers at ${east.keystone.url}`);
    const status = await east.json<{ broker: object; keystone: object }>('status', 'status');
    expect(status.broker).to.include({ running: true, ready: true, pid: east.service.child.pid });
    east.keystone.faults.always('down');
    const { code, stdout: without } = await east.quick('status --json');
    east.keystone.faults.clear();
    expect(code).to.equal(1);
    expect(checked<{ keystone: object }>('status', JSON.parse(without)).keystone).to.include({ reachable: false });
  });

  it('status logs in at Keystone, and says when it is refused', async () => {
    const env = { ALLIANCE_KEYSTONE__PASSWORD: 'wrong' };
    const { code, stdout } = await east.quick('status --json', { env });
    expect(code).to.equal(1);
    const { keystone, attention } = checked<{
      keystone: { reachable: boolean; error: { name: string } };
      attention: { kind: string }[];
    }>('status', JSON.parse(stdout));
    expect([keystone.reachable, keystone.error.name]).to.deep.equal([true, 'keystone_refused']);
    expect(attention.map(({ kind }) => kind)).to.include('keystone');
    expect((await east.quick('status', { env })).stdout).not.to.contain('answers at');
  });

  it('status says when the broker hangs', async () => {
    const { child } = east.service;
    const whileHung = async () => {
      child.kill('SIGSTOP');
      const answer = await east.quick('status');
      child.kill('SIGCONT');
      // Caught in the middle of a write it holds the lock of the database, and that is what status tells then.
      return !answer.stderr.includes('locked') && answer;
    };
    const { code, stdout } = await until('it hangs without a lock', whileHung, 30_000);
    expect(code).to.equal(1);
    expect(stdout).to.match(/broker +running, pid \d+, up .*, DOES NOT ANSWER/);
    expect(stdout).to.contain('The broker runs, but does not answer on http.listen.');
  });

  it('SIGHUP applies what can be applied, says what cannot, and survives mistakes', async () => {
    const { service } = east;
    east.configure({ log: { level: 'warn' }, http: { listen: '127.0.0.1:1' } });
    service.child.kill('SIGHUP');
    const reloaded = checked('serve', JSON.parse(await service.said(/"reloaded"/)));
    expect(reloaded).to.deep.include({ applied: ['log.level'], need_restart: ['http.listen'] });
    east.configure({ nonsense: 1 });
    service.child.kill('SIGHUP');
    await until('the mistake is told', () => service.stderr().includes('nonsense'));
    east.configure({ nonsense: undefined, http: { listen: '127.0.0.1:0' } });
    expect(await pingCode()).to.equal(0);
  });

  it('a new start of sessions needs approval where continuity is required', async () => {
    expect((await east.quick('partner approve west --continuity')).code).to.equal(2);
    east.configure({ partners: { west: { authenticate: true, continuity: 'required' } } });
    const granted = await east.json<{ continuity_granted_till: string }>(
      'partner-approve',
      'partner approve west --continuity',
    );
    expect(Date.parse(granted.continuity_granted_till)).to.be.greaterThan(Date.now());
    expect((await east.quick('partner approve west --continuity')).stdout).to.contain(
      'may start anew once within 15 min',
    );
  });

  it('revoke needs to be meant, tells the partner, and is final', async () => {
    expect((await west.quick('partner revoke east')).code).to.equal(2);
    expect((await west.quick('partner revoke east', { typed: ['no\n'] })).code).to.equal(130);
    expect((await eastInWest()).state).to.equal('active');
    const { code, stdout } = await west.quick('partner revoke east', { typed: ['yes\n'] });
    expect([code, stdout]).to.deep.equal([0, 'east is revoked; it was told\n']);
    expect((await west.quick('partner revoke east --yes --json')).stderr).to.contain('illegal_transition');
    const status = await east.json<{ attention: { kind: string }[] }>('status', 'status');
    expect(status.attention.map(({ kind }) => kind)).to.deep.equal(['revoked']);
    expect(await west.json('partner-remove', 'partner remove east --yes')).to.include({
      outcome: 'removed',
      told: false,
    });
    expect((await west.quick('partner show east --json')).stderr).to.contain('"partner_not_found"');
    await east.json('partner-remove', 'partner remove west --yes');
  });

  it('approved in advance, the pairing is done at once; then renewed', async () => {
    const invited = await east.json<{ token: string }>('partner-invite', 'partner invite --approve --role consumer');
    const file = join(west.home, 'invitation');
    writeFileSync(file, invited.token);
    const { partner } = await west.json<{ partner: PartnerView }>(
      'partner-accept',
      `partner accept --file ${file} --name morning --replace-identity`,
    );
    expect(partner).to.include({ state: 'active', role: 'provider', name: 'morning', code: null });
    const renewed = await west.json<PartnerView>('partner-renew', 'partner renew morning --trust-till 5d');
    expect(Date.parse(renewed.trust_till!) - Date.now()).to.be.closeTo(5 * 86_400_000, 60_000);
    const { code, stdout } = await west.quick('status');
    expect(code).to.equal(1);
    expect(stdout).to.contain('The trust in east ends within 7 days (4 d 23 h left).');
  });

  it('a second signal ends serve in the middle of its draining', async () => {
    const { service } = east;
    east.keystone.faults.always('hang');
    const asked = east.keystone.faults.hits;
    const asking = west.quick('token validate - --partner east', { input: token });
    await until('east asks its Keystone', () => east.keystone.faults.hits > asked);
    service.child.kill('SIGTERM');
    await service.said(/"stopping"/);
    service.child.kill('SIGTERM');
    expect(await service.ended).to.equal(1);
    expect(service.lines.at(-1)).to.contain('stopping');
    expect((await asking).code).to.equal(1);
    const status = await east.json<{ broker: object }>('status', 'status');
    expect(status.broker).to.include({ running: false, died: true });
  });

  it('after a compromise partners have to pair again', async () => {
    const rotated = await west.json('identity-rotate', 'identity rotate --compromised');
    expect(rotated).to.deep.include({ compromised: true, overlap_till: null, partners: [], pair_again: ['east'] });
    const { code, stdout } = await west.quick('status');
    expect(code).to.equal(1);
    expect(stdout).to.contain('east knows none of our keys that still count. Run `alliance partner remove east`');
    await west.json('status', 'status');
    const doctor = await west.quick('partner doctor east --json');
    type Checks = { checks: { name: string; outcome: string; remedy: string | null }[] };
    const { checks } = checked<Checks>('partner-doctor', JSON.parse(doctor.stdout));
    const check = checks.find(({ name }) => name === 'identity');
    expect([doctor.code, check?.outcome]).to.deep.equal([1, 'failed']);
    expect(check?.remedy).to.contain('pair again');
    const again = await west.quick('identity rotate');
    expect([again.code, again.stderr]).to.deep.equal([3, 'Telling 1 partner ...\n']);
  });

  it('SIGTERM ends serve with 0', async () => {
    west.service.child.kill('SIGTERM');
    expect(await west.service.ended).to.equal(0);
    expect(west.service.lines.slice(-2).map((line) => JSON.parse(line).event)).to.deep.equal(['stopping', 'stopped']);
    expect((await west.quick('status')).stdout).to.contain('broker       not running on this host');
  });
});
