/** What was revoked at home, and how long it is good for services here. */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { createKeystoneApi } from '../support/keystoneApi.ts';
import { cacheSeconds, type Setting } from './middlewareCases.ts';

/** What the facade promises. */
const promisedMs = 5000;
interface Refusals {
  readonly facade: number;
  readonly service: number;
  readonly remembering: number;
}

/** When the first question was asked that was refused. */
async function refusedFrom(isRefused: () => Promise<boolean>, limitMs: number): Promise<number> {
  const since = performance.now();
  for (;;) {
    const askedMs = Math.round(performance.now() - since);
    if (await isRefused()) return askedMs;
    if (askedMs > limitMs) throw new Error(`It is still good after ${limitMs} ms.`);
    await delay(50);
  }
}

/** Milliseconds from the end of `revoke` from which each of them refuses the token, which was good until then. */
async function measure(setting: Setting, token: string, revoke: () => Promise<unknown>): Promise<Refusals> {
  const { federation, service, remembering } = setting;
  const asService = await federation.west.login('stock', 'service');
  const facade = createKeystoneApi(federation.facadeUrl);
  const atFacade = async () =>
    (await facade.call('GET', '/auth/tokens?nocatalog', { token: asService, subject: token })).status;
  expect(await atFacade()).to.equal(200);
  for (const each of [service, remembering]) expect((await each.ask(token)).status).to.equal(200);
  await revoke();
  const [facadeMs, serviceMs, rememberingMs] = await Promise.all([
    refusedFrom(async () => (await atFacade()) === 404, 3 * promisedMs),
    refusedFrom(async () => (await service.ask(token)).status === 401, 3 * promisedMs),
    refusedFrom(async () => (await remembering.ask(token)).status === 401, 3 * promisedMs),
  ]);
  return { facade: facadeMs, service: serviceMs, remembering: rememberingMs };
}

function expectPrompt(what: string, { facade, service, remembering }: Refusals): void {
  console.log(
    `      ${what}: refused by the facade from ${facade} ms on, by a service from ${service} ms on, with token_cache_time = ${cacheSeconds} from ${remembering} ms on`,
  );
  expect(facade).to.be.at.most(promisedMs);
  expect(service).to.be.at.most(promisedMs);
  expect(remembering).to.be.at.most(promisedMs + cacheSeconds * 1000);
}

export function revocationCases(setting: () => Setting): void {
  it('refuse a Fernet token that was revoked at home', async () => {
    const { east } = setting().federation;
    const token = await east.login('ann', 'lab');
    const revoke = () => east.api.must('DELETE', '/auth/tokens', { token: east.admin, subject: token });
    expectPrompt('Fernet, revoked', await measure(setting(), `a1.east.${token}`, revoke));
  });

  it('refuse a JWS token that was revoked at home', async () => {
    const { east2 } = setting().federation;
    const token = await east2.login('ann', 'lab');
    const revoke = () => east2.api.must('DELETE', '/auth/tokens', { token: east2.admin, subject: token });
    expectPrompt('JWS, revoked', await measure(setting(), token, revoke));
  });

  it('refuse the tokens of a user who was switched off at home, and of no other', async () => {
    const { federation, service } = setting();
    const { api, admin, users, login } = federation.east;
    const [token, other] = await Promise.all([login('bob', 'lab'), login('ann', 'lab')]);
    const revoke = () => api.must('PATCH', `/users/${users.bob}`, { token: admin, body: { user: { enabled: false } } });
    expectPrompt('User switched off', await measure(setting(), `a1.east.${token}`, revoke));
    expect((await service.ask(`a1.east.${other}`)).status).to.equal(200);
  });
}
