/** The story of the demo, step by step: what is done, and what has to come of it. */
import { accept, approve, invite, refreshPairing } from '../broker/partners.ts';
import { formatEndpoint } from '../core/endpoint.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import { authenticate, type UserCredentials, validateToken } from '../rproxy/auth.ts';
import { endpoints } from '../rproxy/endpoints.ts';
import { ping } from '../rproxy/ping.ts';
import { openSession } from '../rproxy/session.ts';
import type { DemoCloud } from './demoCloud.ts';
import { formatDuration, formatTime } from './text.ts';

export interface Step {
  /** What happens. */
  readonly title: string;
  /** Does it; throws when it comes out wrong, else says what came of it. */
  readonly run: () => Promise<string>;
}

class WrongOutcome extends Error {}

/** @throws Error where it does not hold, saying what came instead */
export const expect = (holds: boolean, what: string): void => {
  if (!holds) throw new WrongOutcome(`Wrong outcome: ${what}`);
};

const user = { name: 'demo', domain: { name: 'Default' } };
const project = { name: 'demo', domain: { name: 'Default' } };

/** East issues tokens, west validates them. */
export function tellStory(east: DemoCloud, west: DemoCloud): Step[] {
  const [atEast, atWest] = [east.broker.installation, west.broker.installation];
  const { pool } = atWest;
  let invitation = '';
  let partner: Partner;
  let token = '';
  let staleToken = '';

  const password = (): UserCredentials => ({ kind: 'password', user, project, password: east.keystone.demoPassword });
  const login = async () => (await authenticate(pool, partner, password())).token;

  return [
    {
      title: 'east invites a partner',
      run: async () => {
        invitation = (await invite(atEast)).token;
        return `one-time token of ${invitation.length} characters, good for 15 minutes`;
      },
    },
    {
      title: 'west accepts the invitation',
      run: async () => {
        partner = await accept(atWest, invitation);
        expect(partner.state === 'pending' && partner.code !== null, `west sees east ${partner.state}`);
        return `both sides derive the same code: ${partner.code}`;
      },
    },
    {
      title: 'a second accept of the same token is refused',
      run: async () => {
        const refusal = await accept(atWest, invitation).then(
          () => 'accepted',
          (error: { errorName?: string }) => error.errorName,
        );
        expect(refusal === 'identity_known', `it was ${refusal}`);
        return 'as it should be';
      },
    },
    {
      title: "east's operator types the code and approves west",
      run: async () => {
        const { state } = await approve(atEast, await atEast.store.partners.resolve('west'), String(partner.code));
        partner = await untilActive(west, partner);
        expect(state === 'active', `east sees west ${state}`);
        const [key] = partner.keys;
        return `partners; west pins ${formatFingerprint(key!.fingerprint).slice(0, 30)}...`;
      },
    },
    {
      title: 'west and east agree on a session and open a channel',
      run: async () => {
        const session = await openSession(pool, partner);
        const [channel] =
          pool
            .channels()
            .get(partner.uid)
            ?.filter(({ retiring }) => !retiring) ?? [];
        expect(channel !== undefined, 'there is no channel');
        const where = formatEndpoint(channel!.connection.dialled.endpoint);
        return `over ${where}, valid till ${formatTime(session.validTill)}`;
      },
    },
    {
      title: 'west pings east, 100 times',
      run: async () => {
        const times: number[] = [];
        for (let n = 0; n < 100; n++) {
          const { cloudId, roundTripMs } = await ping(pool, 'west', partner);
          expect(cloudId === 'east', `${cloudId} answered`);
          times.push(roundTripMs);
        }
        const [median] = times.sort((a, b) => a - b).slice(50);
        return `100 answers through the sealed channel, median ${median!.toFixed(2)} ms`;
      },
    },
    {
      title: 'the user demo logs in at east, by way of west',
      run: async () => {
        token = await login();
        staleToken = await login();
        expect(token !== staleToken, 'two logins gave the same token');
        return `a token of ${token.length} characters, issued by east's Keystone`;
      },
    },
    {
      title: "west asks east's Keystone: is this token valid?",
      run: async () => {
        const answer = await validateToken(pool, partner, token);
        expect(answer.status === 'valid', answer.status);
        const body = answer.status === 'valid' ? answer.body : null;
        const { token: seen } = JSON.parse(body ?? '{}') as { token?: { user: { name: string } } };
        expect(seen?.user.name === 'demo', 'the body is of another user');
        return `VALID, user ${seen?.user.name}, with the body verbatim`;
      },
    },
    {
      title: 'west asks again, from what east knows (soft)',
      run: async () => {
        // East's broker asks for revocations all the time.
        const validations = () =>
          east.keystone.requests.filter(({ path }) => path.startsWith('/v3/auth/tokens')).length;
        const seenBefore = validations();
        const answer = await validateToken(pool, partner, token, { soft: true });
        expect(answer.status === 'valid', answer.status);
        expect(validations() === seenBefore, 'Keystone was asked');
        return "VALID, east's Keystone was not asked";
      },
    },
    {
      title: 'a forged token',
      run: async () => {
        const forged = `${token.slice(0, -8)}${token.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA'}`;
        const { status } = await validateToken(pool, partner, forged);
        expect(status === 'invalid', status);
        return 'INVALID';
      },
    },
    {
      title: 'a token that east has revoked',
      run: async () => {
        const before = await validateToken(pool, partner, staleToken);
        expect(before.status === 'valid', `before: ${before.status}`);
        expect((await east.broker.keystone?.revokeToken(staleToken)) === true, 'it was not revoked');
        const { status } = await validateToken(pool, partner, staleToken);
        expect(status === 'invalid', status);
        return 'valid before, INVALID after';
      },
    },
    {
      title: 'west looks up what east offers',
      run: async () => {
        const found = await endpoints(pool, partner);
        const types = [...new Set(found.map(({ serviceType }) => serviceType))].sort();
        expect(types.includes('image') && found.every((one) => one.interface === 'public'), types.join(', '));
        return `${found.length} public endpoints: ${types.join(', ')}`;
      },
    },
    {
      title: "east's Keystone goes down, and west asks again",
      run: async () => {
        east.keystone.faults.always('down');
        try {
          const answer = await validateToken(pool, partner, token);
          expect(answer.status === 'indeterminate', answer.status);
          return `INDETERMINATE (${answer.status === 'indeterminate' ? answer.reason : ''}), never "invalid"`;
        } finally {
          east.keystone.faults.clear();
        }
      },
    },
    {
      title: "east's Keystone is back",
      run: async () => {
        const startedAt = performance.now();
        const { status } = await validateToken(pool, partner, token);
        expect(status === 'valid', status);
        return `VALID again, within ${formatDuration(performance.now() - startedAt)}`;
      },
    },
  ];
}

/** West's own broker may have asked already; either way east is asked until it says yes. */
async function untilActive({ broker: { installation } }: DemoCloud, pending: Partner): Promise<Partner> {
  const giveUpAt = performance.now() + 5000;
  for (;;) {
    const partner = await installation.store.partners.get(pending.uid);
    if (partner.state === 'active') return partner;
    const asked = await refreshPairing(installation, partner).catch(() => partner);
    if (asked.state === 'active') return asked;
    expect(performance.now() < giveUpAt, `west sees east ${asked.state}`);
  }
}
