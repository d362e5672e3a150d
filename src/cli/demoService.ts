/** The second half of the demo: a service of west that knows nothing of brokers takes in users of east, and puts them out again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { WhoAmI } from '../sandbox/service.ts';
import { qualify } from '../token/routing/qualified.ts';
import { type DemoCloud, tokenCacheTimeS } from './demoCloud.ts';
import { expect, type Step } from './demoStory.ts';
import { formatDuration } from './text.ts';

/** Whoever has the role member in east works in the project guests of west. */
const rules = [
  {
    remote: [{ type: 'openstack_user' }, { type: 'openstack_roles', any_one_of: ['member'] }],
    local: [{ user: { name: '{0}' }, projects: [{ name: 'guests', roles: [{ name: 'member' }] }] }],
  },
];

/** What is promised of a revocation, and how often the service is asked for it here. */
const [refusalMs, askAgainMs] = [5000, 50];

/** A login at a cloud's own Keystone, as its users do it. */
async function logIn({ keystone }: DemoCloud, name: string, password: string): Promise<string> {
  const domain = { name: 'Default' };
  const user = { name, password, domain };
  const scope = { project: { name: 'demo', domain } };
  const answer = await fetch(`${keystone.url}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }),
  });
  const token = answer.headers.get('x-subject-token');
  expect(token !== null, `${name} could not log in: ${answer.status}`);
  return token!;
}

async function logOut({ keystone }: DemoCloud, token: string): Promise<void> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const { status } = await fetch(`${keystone.url}/auth/tokens`, { method: 'DELETE', headers });
  expect(status === 204, `the logout was answered ${status}`);
}

/** Partners exist by then: to be told after `tellStory`. */
export function tellServiceStory(east: DemoCloud, west: DemoCloud): Step[] {
  const ask = (token: string, path = '/', init: RequestInit = {}) =>
    fetch(west.service.url + path, {
      ...init,
      headers: { 'x-auth-token': token, 'content-type': 'application/json' },
    });
  const whoIs = async (token: string): Promise<string> => {
    const answer = await ask(token);
    expect(answer.status === 200, `the service answers ${answer.status}`);
    const { user, project, roles } = (await answer.json()) as WhoAmI;
    expect(user === 'demo' && project === 'guests', `the service sees ${user} in ${project}`);
    return `user ${user}, project ${project}, roles ${roles.join(', ')}`;
  };
  const qualified = (one: string): string => qualify(one, east.broker.installation.config.cloudId);
  let token = '';

  return [
    {
      title: "a user of east asks a stock service of west, whose auth_url is the broker's facade",
      run: async () => {
        token = await logIn(east, 'demo', east.keystone.demoPassword);
        const { status } = await ask(qualified(token));
        expect(status === 401, `the service answers ${status}`);
        return '401: without a mapping nobody has access';
      },
    },
    {
      title: "west's operator maps members in east to the project guests",
      run: async () => {
        const { store, view } = west.broker.installation;
        const { uid } = await store.partners.resolve('east');
        await store.mappings.set(uid, JSON.stringify(rules));
        // A running broker looks every half second.
        await view.refresh();
        return 'one rule, in the language of Keystone mappings';
      },
    },
    {
      title: 'the same user asks again, with a1.east. before the token',
      run: async () => `200: ${await whoIs(qualified(token))}`,
    },
    {
      title: 'and with the bare token, which does not say whose it is',
      run: async () => {
        const { status } = await ask(token);
        expect(status === 401, `the service answers ${status}`);
        return '401: west may ask nobody about it, unless tokens.ask says so';
      },
    },
    {
      title: 'the mapped role lets the user work in that project',
      run: async () => {
        const { status } = await ask(qualified(token), '/words', {
          method: 'POST',
          body: JSON.stringify({ word: 'hello' }),
        });
        expect(status === 201, `the service answers ${status}`);
        return '201: a word more in the list of guests';
      },
    },
    {
      title: 'a trainee of east, whom no rule matches',
      run: async () => {
        const trainee = await logIn(east, 'trainee', east.traineePassword);
        const { status } = await ask(qualified(trainee));
        expect(status === 401, `the service answers ${status}`);
        return "401; the reason is in west's audit, not in the answer";
      },
    },
    {
      title: 'the user logs out in east, and goes on asking in west',
      run: async () => {
        expect((await ask(qualified(token))).status === 200, 'the service had refused before');
        await logOut(east, token);
        const from = performance.now();
        for (;;) {
          const { status } = await ask(qualified(token));
          const ms = performance.now() - from;
          if (status === 401)
            return `401 from ${formatDuration(ms)} after the logout on (token_cache_time is ${tokenCacheTimeS} s here, 300 s by default)`;
          expect(status === 200 && ms < refusalMs, `after ${formatDuration(ms)} the service answers ${status}`);
          await delay(askAgainMs);
        }
      },
    },
  ];
}
