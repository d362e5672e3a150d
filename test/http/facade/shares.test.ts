import { expect } from 'chai';
import { Shares } from '../../../src/http/facade/shares.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { openFacade, type TestFacade, validVerdict } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';
import { until } from '../../support/until.ts';
import { startWebServer } from '../../support/webServer.ts';

describe('http/facade/shares', () => {
  it('nobody has more than he leaves to the others, and the last to come has room', async () => {
    const shares = new Shares(16);
    const ends: (() => void)[] = [];
    const fill = (whom: string) => {
      for (let held = 0; ; held++) {
        let isRunning = false;
        void shares.run(whom, () => {
          isRunning = true;
          return new Promise<void>((resolve) => ends.push(resolve));
        });
        if (!isRunning) return held;
      }
    };
    expect(['a', 'b', 'c', 'd', 'e'].map(fill)).to.deep.equal([8, 4, 2, 1, 1]);
    for (const end of ends.splice(0)) end();
    await new Promise(setImmediate);
    expect(['e', 'a'].map(fill)).to.deep.equal([8, 4]);
  });

  it('gives back what failed', async () => {
    const shares = new Shares(1);
    for (let n = 0; n < 3; n++) {
      const failure = await shares.run('a', () => Promise.reject(new Error('no'))).catch(String);
      expect(failure).to.equal('Error: no');
    }
    expect(await shares.run('a', async () => 1)).to.equal(1);
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
    afterEach(() => facade.stop());

    const validate = (subject: string) =>
      fetch(`${facade.url}/v3/auth/tokens`, { headers: { 'x-auth-token': service, 'x-subject-token': subject } });

    it('a silent partner and made-up tokens of it leave room for this cloud’s own, and for unknown ones', async () => {
      facade = await openFacade(keystone, { limits: { inFlight: 20, foreignInFlight: 16 } });
      expect((await validate(service)).status).to.equal(200);
      let speak = (): void => undefined;
      const silence = new Promise<void>((resolve) => {
        speak = resolve;
      });
      const heard = silence.then(() => validVerdict());
      facade.doubles.verdict = heard as never;
      const refused: (string | null)[] = [];
      const asked = Array.from({ length: 20 }, async (_none, n) => {
        const answer = await validate(`a1.east.garbage${n}`);
        if (answer.status === 503) refused.push(answer.headers.get('retry-after'));
        return answer;
      });
      await until('an answer to all that have no room', () => refused.length === 12);
      expect([new Set(refused), facade.doubles.asked.length]).to.deep.equal([new Set(['1']), 8]);
      expect((await validate(service)).status).to.equal(200);
      expect((await validate('gAAAAAnobody')).status).to.equal(404);
      speak();
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).to.have.length(8);
      facade.doubles.verdict = validVerdict();
      expect((await validate('a1.east.token')).status).to.equal(200);
    });

    it('a Keystone that is slow with other things leaves room for questions about tokens', async () => {
      const held: (() => void)[] = [];
      const web = await startWebServer(({ url }, response) => {
        if (url === '/v3/users') held.push(() => response.end('{}'));
        else response.end('{}');
      });
      facade = await openFacade(keystone, { authUrl: `${web.url}/v3`, limits: { inFlight: 10, handedInFlight: 8 } });
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
