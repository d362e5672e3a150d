/** What `alliance status` knows: this broker, its Keystone, its partners, and what of all that needs hands. */
import { recentAlarms } from '../broker/audit.ts';
import { keptFinding } from '../broker/auditFinding.ts';
import { checkpointAhead as findAhead, verifyNew } from '../broker/auditTask.ts';
import { openKeystone } from '../broker/broker.ts';
import type { Installation } from '../broker/installation.ts';
import { openInvitations } from '../broker/invitations.ts';
import { formatHostPort } from '../core/endpoint.ts';
import { AllianceError, toAllianceError } from '../core/errors.ts';
import { provisionLimits } from '../core/limits.ts';
import { packageVersion } from '../core/version.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import { resolveKeystone } from '../lproxy/credentials.ts';
import type { Partner } from '../model/partner.ts';
import { announcedFrom, presentStates } from '../model/provision.ts';
import type { SessionFacts } from '../model/session.ts';
import { effectiveState } from '../model/trust.ts';
import { type Attention, attentionOf, daysLeft } from './attention.ts';
import { findBroker } from './brokerFile.ts';
import { viewError } from './failure.ts';
import { findOpenExecutions } from './openExecutions.ts';
import { isoTime } from './text.ts';

const keystoneWaitMs = 5000;
const brokerWaitMs = 1000;

export type Status = Awaited<ReturnType<typeof lookAround>>;

export async function lookAround(installation: Installation) {
  const { store, view, clock, home } = installation;
  const now = clock.now();
  const [partners, sessions, invitations, keystone, broker, tokenKeys, ending, audits, syncs, auditBreak] =
    await Promise.all([
      store.partners.list(),
      store.sessions.list(),
      openInvitations(installation),
      lookAtKeystone(installation),
      lookAtBroker(home),
      store.tokenKeys.list(),
      store.provisions.list({ states: presentStates, endsBy: now + provisionLimits.noticeMs }),
      store.audit.held(),
      findOpenExecutions(store.executions, now),
      // What is new costs little to read; of what is older it is known what was found last.
      verifyNew(installation).then(
        (broken) => broken ?? keptFinding(installation).then((kept) => kept?.finding ?? null),
      ),
    ]);
  const checkpointAhead = await findAhead(installation);
  const { identity, sequence } = view.current;
  const knowsUs = (partner: Partner) => view.knownTo(partner) !== undefined;
  const disputedKeys = tokenKeys
    .filter(({ state }) => state === 'disputed')
    .map(({ partnerUid, thumbprint }) => ({
      cloudId: partners.find(({ uid }) => uid === partnerUid)?.cloudId ?? '',
      fingerprint: formatFingerprint(thumbprint),
    }));
  const auditAlarms = audits.flatMap((held) => {
    const cloudId = partners.find(({ uid }) => uid === held.partnerUid)?.cloudId;
    return cloudId === undefined ? [] : recentAlarms(held, now).map((alarm) => ({ cloudId, alarm }));
  });
  const projects = ending.filter((project) => (announcedFrom(project) ?? now) <= now);
  const audit = { auditAlarms, auditBreak, checkpointAhead };
  const seen = { partners, projects, identity, knowsUs, now, keystone, broker, disputedKeys, syncs, ...audit };
  const attention: Attention[] = attentionOf(seen);
  return {
    cloud_id: view.cloudId,
    version: packageVersion(),
    home,
    broker,
    identity: {
      fingerprint: formatFingerprint(identity.fingerprint),
      sequence,
      not_after: isoTime(identity.notAfter),
      days_left: daysLeft(identity.notAfter, now),
    },
    keystone,
    open_invitations: invitations.length,
    partners: partners.map((partner) => viewLine(partner, sessions, now)),
    attention,
  };
}

function viewLine(partner: Partner, sessions: readonly SessionFacts[], now: number) {
  const live = sessions.filter((one) => one.partnerUid === partner.uid && one.hasSecret && one.validTill > now);
  const { lastError } = partner;
  return {
    cloud_id: partner.cloudId,
    name: partner.name,
    role: partner.role,
    state: effectiveState(partner, now),
    approval: partner.approval,
    trust_till: isoTime(partner.trustTill),
    last_contact: isoTime(partner.lastContact),
    last_error: lastError && { ...lastError, at: isoTime(lastError.at) },
    sessions: {
      ours: live.filter(({ direction }) => direction === 'initiator').length,
      theirs: live.filter(({ direction }) => direction === 'responder').length,
    },
  };
}

async function lookAtKeystone(installation: Installation) {
  const keystone = openKeystone(installation);
  if (!keystone) return { url: null, reachable: null, error: null };
  const { authUrl: url } = resolveKeystone(installation.config.keystone, { env: installation.env });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const details = `No answer within ${keystoneWaitMs} ms.`;
    timer = setTimeout(() => reject(new AllianceError('keystone_unreachable', { details })), keystoneWaitMs);
  });
  try {
    // Keystones tell their version to anybody; only a login shows that it answers this broker.
    await Promise.race([keystone.login(), late]);
    return { url, reachable: true, error: null };
  } catch (thrown) {
    const error = toAllianceError(thrown);
    return { url, reachable: error.errorName === 'keystone_refused', error: viewError(error) };
  } finally {
    clearTimeout(timer);
    await keystone.close();
  }
}

interface BrokerStatus {
  readonly running: boolean;
  /** It ended without taking leave. */
  readonly died: boolean;
  readonly pid: number | null;
  readonly started_at: string | null;
  readonly addresses: Readonly<Record<string, string | null>>;
  /** Over HTTP; null: it does not listen there. */
  readonly answers: boolean | null;
  /** null: it did not say. */
  readonly ready: boolean | null;
  readonly channels: { readonly in: number; readonly out: number } | null;
}

async function lookAtBroker(home: string): Promise<BrokerStatus> {
  const { found, alive } = findBroker(home);
  if (!found || !alive)
    return {
      running: false,
      died: found !== undefined,
      pid: null,
      started_at: null,
      addresses: {},
      answers: null,
      ready: null,
      channels: null,
    };
  const { pid, started_at: startedAt, addresses } = found;
  const base = addresses.http && `http://${formatHostPort(addresses.http)}`;
  const [ready, metrics] = await Promise.all([
    base === null ? null : get(`${base}/readyz`).then((answer) => answer && answer.status === 200),
    base === null ? null : get(`${base}/metrics`).then((answer) => answer?.text ?? null),
  ]);
  const texts = Object.entries(addresses).map(([face, address]) => [face, address && formatHostPort(address)]);
  return {
    running: true,
    died: false,
    pid,
    started_at: isoTime(startedAt),
    addresses: Object.fromEntries(texts) as BrokerStatus['addresses'],
    // A Keystone that hangs keeps readiness waiting, but not the metrics.
    answers: base === null ? null : ready !== null || metrics !== null,
    ready,
    channels: metrics === null ? null : { in: channelsOf(metrics, 'in'), out: channelsOf(metrics, 'out') },
  };
}

const channelsOf = (metrics: string, direction: 'in' | 'out'): number =>
  Number(new RegExp(`^alliance_channels\\{direction="${direction}"\\} (\\d+)$`, 'm').exec(metrics)?.[1] ?? 0);

/** Null when it does not answer. */
async function get(url: string): Promise<{ status: number; text: string } | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(brokerWaitMs) });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return null;
  }
}
