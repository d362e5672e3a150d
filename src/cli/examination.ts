/** What `partner doctor` looks at, from the outside in: each check says what it saw, and what to do about it. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Installation } from '../broker/installation.ts';
import { dial } from '../client/dial.ts';
import { type Endpoint, formatHostPort, parseEndpoint } from '../core/endpoint.ts';
import { errnoOf } from '../core/errno.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { ErrorName } from '../core/errorTable.ts';
import { sessionLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import type { SessionFacts } from '../model/session.ts';
import { effectiveState } from '../model/trust.ts';
import { validateToken } from '../rproxy/auth.ts';
import { askPairing } from '../rproxy/pairing.ts';
import { openSession } from '../rproxy/session.ts';
import { pairAgain } from './attention.ts';
import { describeFailure } from './failure.ts';
import { describeState } from './partnerView.ts';
import { formatDuration, formatTime } from './text.ts';

export interface Check {
  readonly name: string;
  /** `skipped`: an earlier failure, or the partnership, leaves nothing to look at. */
  readonly outcome: 'ok' | 'failed' | 'skipped';
  readonly message: string;
  /** Only where it failed. */
  readonly remedy: string | null;
}

const ok = (name: string, message: string): Check => ({ name, outcome: 'ok', message, remedy: null });
const skipped = (name: string, message: string): Check => ({ name, outcome: 'skipped', message, remedy: null });

/** A failure, with the remedy of the error unless a better one is known. */
const failed = (name: string, thrown: unknown, remedy?: string): Check => ({
  name,
  outcome: 'failed',
  message: describeFailure(thrown),
  remedy: remedy ?? toAllianceError(thrown).remedy,
});

export async function* examine(installation: Installation, partner: Partner): AsyncGenerator<Check> {
  yield checkTrust(installation, partner);
  yield checkIdentity(installation, partner);
  for (const text of partner.endpoints) yield* checkEndpoint(installation, partner, parseEndpoint(text));
  yield* checkSession(installation, partner);
}

function checkTrust({ clock }: Installation, partner: Partner): Check {
  const now = clock.now();
  const state = effectiveState(partner, now);
  const message = `The partner is ${describeState(partner, now)}.`;
  const { cloudId } = partner;
  const remedies: Readonly<Record<typeof state, string>> = {
    active: '',
    pending:
      partner.approval === 'us'
        ? `Run \`alliance partner approve ${cloudId} --code CODE\`.`
        : 'The other operator has to approve, with the code that `alliance partner show` tells.',
    suspended: `Run \`alliance partner resume ${cloudId}\`.`,
    expired: `Run \`alliance partner renew ${cloudId} --trust-till DATE\`.`,
    revoked: `Run \`alliance partner remove ${cloudId}\`, and pair again.`,
  };
  if (state === 'active') return ok('trust', message);
  return { name: 'trust', outcome: 'failed', message, remedy: remedies[state] };
}

/** Whether the partner can know us at all. */
function checkIdentity({ view }: Installation, partner: Partner): Check {
  const name = 'identity';
  const known = view.knownTo(partner);
  if (known === view.current) return ok(name, 'The partner knows our current key.');
  if (known?.overlapTill) {
    const till = formatTime(known.overlapTill);
    return ok(
      name,
      `The partner knows our former key, which counts till ${till}; a running broker tells it the new one.`,
    );
  }
  const message = 'The partner knows none of our keys that still count.';
  return { name, outcome: 'failed', message, remedy: pairAgain(partner) };
}

/** Each step only where the one before succeeded; the first line that is missing is where it ends. */
async function* checkEndpoint(
  { view, pool }: Installation,
  partner: Partner,
  endpoint: Endpoint,
): AsyncGenerator<Check> {
  const { host, scheme } = endpoint;
  const where = formatHostPort(endpoint);
  if (scheme === 'tcp' && partner.binding === 'exporter') {
    yield skipped(`tcp ${where}`, 'Not used: the partnership was agreed for TLS only.');
    return;
  }
  if (isIP(host) === 0) {
    const dns = await checkName(host);
    yield dns;
    if (dns.outcome === 'failed') return;
  }
  const policy = pool.policy();
  const tcp = await attempt(`tcp ${where}`, async () => {
    const startedAt = performance.now();
    const { socket } = await dial({ endpoint: { ...endpoint, scheme: 'tcp' }, policy, pins: [] });
    socket.destroy();
    return `Connected within ${formatDuration(performance.now() - startedAt)}.`;
  });
  yield tcp.outcome === 'failed' ? withRemedy(tcp, 'unreachable', `Check firewalls, and that the broker runs.`) : tcp;
  if (tcp.outcome === 'failed' || scheme === 'tcp') return;
  const pins = view.pinsOf(partner).map(({ fingerprint }) => fingerprint);
  const tls = await attempt(`tls ${where}`, async () => {
    const { socket } = await dial({ endpoint, policy, pins: pins.reverse() });
    socket.destroy();
    return 'TLS 1.3 with the pinned key.';
  });
  yield withRemedy(tls, 'unreachable', 'Check that the port is the TLS port of a broker, without a proxy in between.');
}

async function checkName(host: string): Promise<Check> {
  try {
    const found = await lookup(host, { all: true });
    return ok(`dns ${host}`, found.map(({ address }) => address).join(', '));
  } catch (error) {
    const failure = new AllianceError('unreachable', { details: `${host}: ${errnoOf(error)}.` });
    return failed(`dns ${host}`, failure, 'Check the name, the resolver, and `alliance partner set --endpoint`.');
  }
}

type Failed = Check & { readonly error?: ErrorName };

async function attempt(name: string, work: () => Promise<string>): Promise<Failed> {
  try {
    return ok(name, await work());
  } catch (thrown) {
    return { ...failed(name, thrown), error: toAllianceError(thrown).errorName };
  }
}

/** A remedy that fits better than that of the error, which is to call the doctor. */
function withRemedy({ error, ...check }: Failed, name: ErrorName, remedy: string): Check {
  return error === name ? { ...check, remedy } : check;
}

async function* checkSession(installation: Installation, partner: Partner): AsyncGenerator<Check> {
  const { pool, clock } = installation;
  let session: SessionFacts;
  try {
    session = await openSession(pool, partner);
  } catch (thrown) {
    const { errorName } = toAllianceError(thrown);
    const why = errorName === 'unreachable' ? 'See the lines above.' : undefined;
    yield errorName === 'clock_skew' ? failed('clocks', thrown) : failed('session', thrown, why);
    for (const name of ['version', 'keystone']) yield skipped(name, 'There is no session.');
    return;
  }
  yield ok('session', `A new one, valid till ${formatTime(session.validTill)}.`);
  yield checkClocks(session, partner);
  const state = effectiveState(partner, clock.now());
  yield withoutError(
    await attempt('version', async () => {
      await askPairing(pool, partner);
      return 'Both speak version 1 of the protocol.';
    }),
  );
  yield state === 'active' ? await checkKeystone(installation, partner) : skipped('keystone', `It is ${state}.`);
}

const withoutError = ({ error: _, ...check }: Failed): Check => check;

/** A session ends ten hours after the partner's own time, unless the trust ends before; so its end tells that time. */
function checkClocks({ createdAt, validTill }: SessionFacts, { trustTill }: Partner): Check {
  const ahead = validTill - sessionLimits.lifeMs - createdAt;
  const cut = trustTill !== null && validTill >= trustTill;
  if (cut || Math.abs(ahead) > sessionLimits.skewMs)
    return ok('clocks', `They differ by less than ${formatDuration(sessionLimits.skewMs)}.`);
  const message = `The partner's differs by ${ahead > 0 ? '+' : '-'}${formatDuration(Math.abs(ahead))}.`;
  if (Math.abs(ahead) < sessionLimits.skewMs / 2) return ok('clocks', message);
  return {
    name: 'clocks',
    outcome: 'failed',
    message,
    remedy: 'Run NTP on both hosts, before they differ by a minute.',
  };
}

/** Nobody issued this token. */
const nobodysToken = 'alliance-doctor';

async function checkKeystone({ pool }: Installation, partner: Partner): Promise<Check> {
  const name = 'keystone';
  if (partner.role === 'consumer') return skipped(name, 'The partner is a consumer: it answers no token calls.');
  try {
    const answer = await validateToken(pool, partner, nobodysToken);
    if (answer.status !== 'indeterminate') return ok(name, "The partner's Keystone answers.");
    const message = `The partner's broker gets no answer from its Keystone: ${answer.reason}.`;
    const remedy = "Tell the other operator; tokens cannot be validated until it's back.";
    return { name, outcome: 'failed', message, remedy };
  } catch (thrown) {
    return failed(name, thrown);
  }
}
