/** Who may stay connected to a facade: nobody by being connected alone. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { type SandboxKeystone, startSandboxKeystone } from '../../../src/sandbox/keystone.ts';
import { certified } from '../../support/certificate.ts';
import { openFacade, type TestFacade, type TestFacadeOptions } from '../../support/facade.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../../support/keystoneApi.ts';
import { until } from '../../support/until.ts';
import { startWebServer, type WebServer } from '../../support/webServer.ts';

describe('http/facade/connections', () => {
  let keystone: SandboxKeystone;
  let service: string;
  let facade: TestFacade;
  let web: WebServer | undefined;
  let agent: Agent;
  const sockets: Socket[] = [];
  /** Requests that Keystone has not answered. */
  const waiting: (() => void)[] = [];

  before(async () => {
    keystone = await startSandboxKeystone();
    const own = createKeystoneApi(keystone.url);
    service = await own.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
  });
  after(() => keystone.stop());
  beforeEach(() => {
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
  });
  afterEach(async () => {
    agent.destroy();
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const end of waiting.splice(0)) end();
    await facade.stop();
    await web?.stop();
    web = undefined;
  });

  const open = async (limits: TestFacadeOptions['limits'] = {}, more: TestFacadeOptions = {}) => {
    facade = await openFacade(keystone, { limits: { connections: 20, ...limits }, ...more });
  };
  /** Before a Keystone that answers `/v3/users` when it is told to. */
  const openBeforeSlow = async (limits: TestFacadeOptions['limits'], more: TestFacadeOptions = {}) => {
    web = await startWebServer(({ url }, response) => {
      if (url === '/v3/users') waiting.push(() => response.end('{}'));
      else response.end('{}');
    });
    await open(limits, { ...more, authUrl: `${web.url}/v3` });
  };
  const portOf = () => Number(new URL(facade.url).port);
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  /** Connects, and asks what anybody may, so that the connection is kept. */
  const hold = async (localAddress: string, path = '/v3'): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port: portOf(), localAddress }).on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(get(path));
    if (path === '/v3') await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    return socket.resume();
  };
  const holdMany = async (count: number, localAddress: string) => {
    for (let n = 0; n < count; n++) await hold(localAddress);
  };
  const openOnes = () => sockets.filter(({ closed }) => !closed).length;
  /** Status of an answer about a local token, over one connection that is kept; 0 where that breaks. */
  const ask = (localAddress: string, over: Agent | false = false): Promise<number> =>
    new Promise((resolve) => {
      const headers = { 'x-auth-token': service, 'x-subject-token': service };
      request(`${facade.url}/v3/auth/tokens`, { agent: over, localAddress, headers }, (answer) =>
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
      )
        .on('error', () => resolve(0))
        .end();
    });

  it('one address that holds all of them makes room for each that comes, from anywhere', async () => {
    await open();
    await holdMany(20, '127.0.0.1');
    expect([await ask('127.0.0.2'), await ask('127.0.0.3'), await ask('127.0.0.1')]).to.deep.equal([200, 200, 200]);
    await until('those that made room', () => openOnes() < 20);
    expect(sockets[0]!.closed).to.equal(true);
    expect(openOnes()).to.be.within(17, 19);
  });

  it('nor are there more of them where many come at a time', async () => {
    await open();
    await holdMany(20, '127.0.0.1');
    await Promise.all(Array.from({ length: 40 }, () => hold('127.0.0.2')));
    await until('those that made room', () => openOnes() <= 20);
    expect(openOnes()).to.equal(20);
  });

  it('the address with the most makes room, and others keep theirs', async () => {
    await open();
    await holdMany(4, '127.0.0.2');
    await holdMany(16, '127.0.0.1');
    await holdMany(8, '127.0.0.3');
    await until('those that made room', () => openOnes() === 20);
    expect(sockets.map(({ closed }) => closed)).to.deep.equal([
      ...Array(4).fill(false),
      ...Array(8).fill(true),
      ...Array(16).fill(false),
    ]);
  });

  it('one over which somebody asks whom Keystone knows stays, also where all come from one proxy', async () => {
    await open();
    for (const _ of [1, 2]) expect(await ask('127.0.0.1', agent)).to.equal(200);
    const [kept] = Object.values(agent.freeSockets).flat();
    await holdMany(60, '127.0.0.1');
    expect(await ask('127.0.0.1', agent)).to.equal(200);
    expect(Object.values(agent.freeSockets).flat()).to.deep.equal([kept]);
  });

  it('of one address there are so many', async () => {
    await open({ connectionsPerAddress: 3 });
    await holdMany(5, '127.0.0.1');
    await hold('127.0.0.2');
    await until('those that made room', () => openOnes() === 4);
    expect(sockets.map(({ closed }) => closed)).to.deep.equal([true, true, false, false, false, false]);
  });

  it('one that waits for its answer is not closed for another', async () => {
    await openBeforeSlow({ connections: 2 });
    await hold('127.0.0.1', '/v3/users');
    await hold('127.0.0.1', '/v3/users');
    await until('both questions', () => waiting.length === 2);
    const third = await hold('127.0.0.2');
    await until('there is no room', () => third.closed);
    for (const end of waiting.splice(0)) end();
    await Promise.all(sockets.slice(0, 2).map((socket) => once(socket, 'data')));
    expect(await ask('127.0.0.2')).to.equal(200);
    await until('the one that made room', () => openOnes() === 1);
  });

  it('so it is with TLS', async () => {
    const tls = certified('localhost');
    await openBeforeSlow({ connections: 2 }, { tls });
    const dial = async (path: string) => {
      const socket = connectTls({ host: '127.0.0.1', port: portOf(), rejectUnauthorized: false });
      sockets.push(socket.on('error', () => undefined));
      await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]);
      if (!socket.closed) socket.write(get(path));
      return socket.resume();
    };
    await dial('/v3/users');
    await until('the question', () => waiting.length === 1);
    const idle = await dial('/v3');
    await once(idle, 'data');
    await once(await dial('/v3'), 'data');
    await until('the one that made room', () => idle.closed);
    waiting.splice(0)[0]!();
    await once(sockets[0]!, 'data');
  });
});
