import { request } from 'node:http';
import { expect } from 'chai';
import { Shares } from '../../../src/http/facade/shares.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, type TestFacade, validVerdict } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';
import { until } from '../../support/until.ts';
import { startWebServer } from '../../support/webServer.ts';

/** Takes all that somebody gets, and says how much that was. */
const fillerOf =
  (shares: Shares, ends: (() => void)[]) =>
  (...whom: string[]): number => {
    for (let held = 0; ; held++) {
      const leave = shares.take(...whom);
      if (!leave) return held;
      ends.push(leave);
    }
  };

describe('http/facade/shares', () => {
  it('nobody has more than he leaves to the others, and the last to come has room', () => {
    const shares = new Shares(16);
    const ends: (() => void)[] = [];
    const fill = fillerOf(shares, ends);
    expect(['a', 'b', 'c', 'd', 'e'].map((whom) => fill(whom))).to.deep.equal([8, 4, 2, 1, 1]);
    for (const end of ends.splice(0)) end();
    expect(['e', 'a'].map((whom) => fill(whom))).to.deep.equal([8, 4]);
  });

  it('the same holds again within a share, which is not larger for being divided', () => {
    const shares = new Shares(32);
    const ends: (() => void)[] = [];
    const fill = fillerOf(shares, ends);
    expect([fill('a', 'x'), fill('a', 'y'), fill('a', 'z')]).to.deep.equal([8, 4, 2]);
    expect([fill('b', 'x'), fill('c', 'x')]).to.deep.equal([5, 4]);
    for (const end of ends.splice(0)) end();
    expect(fill('a', 'y')).to.equal(8);
  });

  it('room is given back once, however often', () => {
    const shares = new Shares(4);
    const [first, second] = [shares.take('a'), shares.take('a')];
    first!();
    first!();
    expect([shares.take('a') === undefined, shares.take('a') === undefined]).to.deep.equal([false, true]);
    second!();
    expect(shares.take('a')).to.be.a('function');
  });

  describe('at the facade', () => {
    let keystone: SandboxKeystone;
    let facade: TestFacade;
    let service: string;
    before(async () => {
      keystone = await startSandboxKeystone();
      const own = createKeystoneApi(keystone.url);
      service = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
    });
    after(() => keystone.stop());
    const ends: (() => void)[] = [];
    afterEach(() => {
      for (const end of ends.splice(0)) end();
      return facade.stop();
    });

    const validate = (subject: string, caller = service) =>
      fetch(`${facade.url}/v3/auth/tokens`, { headers: { 'x-auth-token': caller, 'x-subject-token': subject } });

    /** East answers nothing until it `speak`s. Resolves once all but those that it is asked were refused. */
    async function fillWithGarbage(asking: number, most: number) {
      let speak = (): void => undefined;
      const silence = new Promise<void>((resolve) => {
        speak = resolve;
      });
      const heard = silence.then(() => validVerdict());
      facade.doubles.verdict = heard as never;
      const refused: (string | null)[] = [];
      const asked = Array.from({ length: asking }, async (_none, n) => {
        const answer = await validate(`a1.east.garbage${n}`);
        if (answer.status === 503) refused.push(answer.headers.get('retry-after'));
        return answer;
      });
      await until('an answer to all that have no room', () => refused.length === asking - most);
      expect(new Set(refused)).to.deep.equal(new Set(['1']));
      expect(facade.doubles.asked.filter((each) => each.startsWith('validate'))).to.have.length(most);
      facade.doubles.verdict = validVerdict();
      return { asked, speak };
    }

    it('a silent partner and made-up tokens of it leave room for this cloud’s own, and for unknown ones', async () => {
      facade = await openFacade(keystone, { limits: { knownInFlight: 40, foreignInFlight: 32 } });
      expect((await validate(service)).status).to.equal(200);
      const { asked, speak } = await fillWithGarbage(20, 8);
      expect((await validate(service)).status).to.equal(200);
      expect((await validate('gAAAAAnobody')).status).to.equal(404);
      speak();
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).to.have.length(8);
      expect((await validate('a1.east.token')).status).to.equal(200);
    });

    it('what waits for a partner takes none of the room for this cloud’s own tokens', async () => {
      facade = await openFacade(keystone, { limits: { knownInFlight: 8, foreignInFlight: 32 } });
      for (const _ of [1, 2]) expect((await validate(service)).status).to.equal(200);
      facade.doubles.verdict = new Promise(() => undefined) as never;
      for (let n = 0; n < 6; n++) {
        const before = facade.doubles.asked.length;
        const lost = new AbortController();
        void fetch(`${facade.url}/v3/auth/tokens`, {
          headers: { 'x-auth-token': service, 'x-subject-token': `a1.east.garbage${n}` },
          signal: lost.signal,
        }).catch(() => undefined);
        ends.push(() => lost.abort());
        await until('the question', () => facade.doubles.asked.length > before);
      }
      expect((await validate(service)).status).to.equal(200);
    });

    it('answers that are remembered wait for nobody, so nobody takes their room', async () => {
      facade = await openFacade(keystone, { limits: { foreignInFlight: 32 } });
      facade.doubles.remembered.add('cached');
      expect((await validate('a1.east.cached')).status).to.equal(200);
      facade.doubles.asked.length = 0;
      const { asked, speak } = await fillWithGarbage(20, 8);
      expect((await validate('a1.east.cached')).status).to.equal(200);
      expect((await validate('a1.east.new')).status).to.equal(503);
      // Nor do those that need no search, behind searches.
      facade.doubles.recalled.add('cached');
      expect((await validate('cached')).status).to.equal(200);
      // To end one is to ask its issuer, whatever is remembered.
      const headers = { 'x-auth-token': service, 'x-subject-token': 'a1.east.cached' };
      const end = await fetch(`${facade.url}/v3/auth/tokens`, { method: 'DELETE', headers });
      expect(end.status).to.equal(503);
      speak();
      await Promise.all(asked);
    });

    it('answers that are remembered take none of the room for this cloud’s own tokens, however long the mapping looks things up', async () => {
      facade = await openFacade(keystone, { limits: { knownInFlight: 8 } });
      for (const _ of [1, 2]) expect((await validate(service)).status).to.equal(200);
      facade.doubles.local = new Promise(() => undefined) as never;
      for (let n = 0; n < 6; n++) {
        facade.doubles.remembered.add(`cached${n}`);
        const before = facade.doubles.asked.length;
        const lost = new AbortController();
        void fetch(`${facade.url}/v3/auth/tokens`, {
          headers: { 'x-auth-token': service, 'x-subject-token': `a1.east.cached${n}` },
          signal: lost.signal,
        }).catch(() => undefined);
        ends.push(() => lost.abort());
        await until('the look-up', () =>
          facade.doubles.asked.slice(before).some((each) => each.startsWith('localise')),
        );
      }
      expect((await validate(service)).status).to.equal(200);
    });

    it('garbage that one caller brings in a partner’s name leaves room for other callers', async () => {
      facade = await openFacade(keystone, { limits: { foreignInFlight: 32 } });
      const own = createKeystoneApi(keystone.url);
      const project = (await own.must('GET', '/projects?name=admin', { token: service })).at('projects.0.id') as string;
      const { id } = await own.create(service, 'user', { name: 'another', password: 'p' });
      await own.grant(service, project, id, 'admin');
      const other = await own.login(passwordLogin('another', 'p', { project: inDefault('admin') }));
      const { asked, speak } = await fillWithGarbage(20, 8);
      expect((await validate('a1.east.token')).status).to.equal(503);
      expect((await validate('a1.east.token', other)).status).to.equal(200);
      speak();
      await Promise.all(asked);
    });

    it('500 who ask about one token at a time have room, whether Keystone knows the caller yet or not', async () => {
      facade = await openFacade(keystone);
      for (const subject of ['a1.east.first', 'a1.east.second']) {
        let answer = (): void => undefined;
        const answered = new Promise<void>((resolve) => {
          answer = resolve;
        });
        facade.doubles.verdict = answered.then(() => validVerdict()) as never;
        facade.doubles.asked.length = 0;
        const all = Promise.all(Array.from({ length: 500 }, () => validate(subject)));
        const asked = () => facade.doubles.asked.filter((each) => each.startsWith('validate')).length;
        await until('all questions', () => asked() === 500, 10_000);
        answer();
        expect(new Set((await all).map(({ status }) => status))).to.deep.equal(new Set([200]));
      }
    });

    it('strangers leave room for callers that Keystone knows, and those of one address for those of others', async () => {
      const held: (() => void)[] = [];
      const web = await startWebServer(({ headers }, response) => {
        if (headers['x-auth-token']?.includes('made-up')) held.push(() => response.writeHead(401).end());
        else response.end('{}');
      });
      const limits = { strangersInFlight: 8, knownInFlight: 2 };
      facade = await openFacade(keystone, { authUrl: `${web.url}/v3`, limits });
      expect((await validate('gAAAAA')).status).to.equal(200);
      const headers = (caller: string) => ({ 'x-auth-token': caller, 'x-subject-token': 'gAAAAA' });
      const statuses: number[] = [];
      const stranger = (n: number, localAddress: string) =>
        request(`${facade.url}/v3/auth/tokens`, { agent: false, localAddress, headers: headers(`made-up ${n}`) })
          .on('response', (answer) => statuses.push(answer.resume().statusCode ?? 0))
          .end();
      for (let n = 0; n < 10; n++) stranger(n, '127.0.0.1');
      await until('an answer to all that have no room', () => statuses.length === 6 && held.length === 4);
      expect((await validate('gAAAAA')).status).to.equal(200);
      expect((await validate('gAAAAA', 'not yet known')).status).to.equal(503);
      stranger(10, '127.0.0.2');
      await until('the question from elsewhere', () => held.length === 5);
      for (const end of held) end();
      await until('all answers', () => statuses.length === 11);
      expect(statuses.sort()).to.deep.equal([...Array(5).fill(401), ...Array(6).fill(503)]);
      expect((await validate('gAAAAA', 'not yet known')).status).to.equal(200);
      await web.stop();
    });

    it('a Keystone that is slow with other things leaves room for questions about tokens', async () => {
      const held: (() => void)[] = [];
      const web = await startWebServer(({ url }, response) => {
        if (url === '/v3/users') held.push(() => response.end('{}'));
        else response.end('{}');
      });
      facade = await openFacade(keystone, { authUrl: `${web.url}/v3`, limits: { handedInFlight: 8 } });
      let refused = 0;
      const asked = Array.from({ length: 10 }, async () => {
        const answer = await fetch(`${facade.url}/v3/users`);
        if (answer.status === 503) refused += 1;
        return answer;
      });
      await until('an answer to all that have no room', () => refused === 6 && held.length === 4);
      expect((await validate('gAAAAA')).status).to.equal(200);
      for (const end of held) end();
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).to.have.length(4);
      await web.stop();
    });
  });
});
