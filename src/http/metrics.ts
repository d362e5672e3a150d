/** Prometheus metrics: what the floors below report, and what is known at the moment of asking. Names are pinned by etc/alliance.rules.yml. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { TrustView } from '../client/trustView.ts';
import { type Clock, dayMs } from '../core/clock.ts';
import type { PartnerUid } from '../core/ids.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { trustStates } from '../model/trust.ts';
import { CallMetrics } from './callMetrics.ts';
import { createImageMetrics } from './imageMetrics.ts';

export interface Metrics extends Telemetry {
  readonly contentType: string;
  /** Text for a scrape. */
  text(): Promise<string>;
  /** Gives the gauges something to look at; before, a scrape has no partners and no expiries. */
  observe(observed: Observed): void;
}

export interface Observed {
  readonly view: TrustView;
  readonly clock: Clock;
  /** When all revocations of a partner were last known, as the clock shows it now; null: not now. */
  confirmedAt(uid: PartnerUid): number | null;
  /** What the database takes on the disk. */
  databaseBytes(): number;
  /** `ok`, the name of an error, or `unknown`; absent: no Keystone is configured. */
  readonly keystone?: () => string;
  /** What is wrong with our own audit; null: nothing; absent: nobody has looked yet. */
  readonly auditFinding?: () => object | null | undefined;
}
/**
 * Reasons why peers are refused, other than names of errors. They count from 0, because `increase` of a series that begins with 1 is 0: an
 * alert would sleep through the first one.
 */
const refusalReasons: readonly string[] = [
  'attach',
  'audit_rate',
  'channel_idle',
  'checkpoint',
  'connections',
  'in_flight',
  'new_start',
  'pairing',
  'plain_age',
  'plain_idle',
  'rate',
  'replay',
  'revocation_unreadable',
  'session_end',
  'tls',
  'tls_rate',
  'token_key_known',
  'unconfirmed',
  'unknown_method',
];
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const calls = new CallMetrics(seconds.map((bound) => bound * 1000));
  new Counter({
    name: 'alliance_calls_total',
    help: 'Calls that ended, by method, direction (in, out) and outcome (ok or the name of an error).',
    labelNames: ['method', 'direction', 'outcome'],
    registers,
    collect() {
      this.reset();
      for (const { method, direction, outcome, count } of calls.counts())
        this.inc({ method, direction, outcome }, count);
    },
  });
  const channels = new Gauge({
    name: 'alliance_channels',
    help: 'Channels now open, by direction.',
    labelNames: ['direction'],
    registers,
  });
  for (const direction of ['in', 'out']) channels.set({ direction }, 0);
  const handshakes = new Counter({
    name: 'alliance_handshakes_total',
    help: 'Handshakes, by direction and outcome (the attempt, or the name of an error).',
    labelNames: ['direction', 'outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'alliance_refusals_total',
    help: 'Peers refused or cut off, by reason.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of refusalReasons) refusals.inc({ reason }, 0);
  const keystoneCalls = new Counter({
    name: 'alliance_keystone_calls_total',
    help: "Requests to this cloud's Keystone, by operation and outcome.",
    labelNames: ['operation', 'outcome'],
    registers,
  });
  const keystoneDurations = new Histogram({
    name: 'alliance_keystone_call_duration_seconds',
    help: 'Time of a request to Keystone, by operation.',
    labelNames: ['operation'],
    buckets: seconds,
    registers,
  });
  const facadeRequests = new Counter({
    name: 'alliance_facade_requests_total',
    help: 'Requests at the facade, by route and status.',
    labelNames: ['route', 'status'],
    registers,
  });
  const facadeDurations = new Histogram({
    name: 'alliance_facade_request_duration_seconds',
    help: 'Time of a request at the facade, by route.',
    labelNames: ['route'],
    buckets: seconds,
    registers,
  });
  const foreignAnswers = new Counter({
    name: 'alliance_foreign_answers_total',
    help: 'Answers about foreign tokens, by outcome and by how they were known (cache, live, stale, none).',
    labelNames: ['outcome', 'source'],
    registers,
  });
  const images = createImageMetrics(registers);
  const certificateDays = new Gauge({
    name: 'alliance_certificate_expiry_days',
    help: "Days until this broker's certificate expires.",
    registers,
  });
  const trustDays = new Gauge({
    name: 'alliance_trust_expiry_days',
    help: 'Days until the trust in a partner ends, where it has an end.',
    labelNames: ['partner'],
    registers,
  });
  const partners = new Gauge({
    name: 'alliance_partners',
    help: 'Partners, by trust state.',
    labelNames: ['state'],
    registers,
  });
  const unconfirmed = new Gauge({
    name: 'alliance_revocations_unconfirmed_seconds',
    help: 'Seconds since all revocations of a partner were known, of active providers; since the first scrape where they never were.',
    labelNames: ['partner'],
    registers,
  });
  const databaseUp = new Gauge({
    name: 'alliance_database_up',
    help: 'Whether the database answers: 1 or 0.',
    registers,
  });
  const databaseSize = new Gauge({
    name: 'alliance_database_bytes',
    help: 'What the database takes on the disk; most of it is the audit.',
    registers,
  });

  const keystoneUp = new Gauge({
    name: 'alliance_keystone_up',
    help: "Whether Keystone serves this broker's own user: 1 or 0; absent until that is known.",
    registers,
  });
  const auditWhole = new Gauge({
    name: 'alliance_audit_whole',
    help: "Whether nothing is known to be wrong with this broker's own audit: 1 or 0; absent until it was looked at.",
    registers,
  });
  // A gauge without labels starts with 0, which would say that Keystone is down.
  for (const gauge of [keystoneUp, auditWhole]) gauge.remove();

  /** When each provider's revocations were last known. */
  let confirmed = new Map<PartnerUid, number>();
  const lookAtRevocations = ({ view, clock, confirmedAt }: Observed): void => {
    const now = clock.now();
    const before = confirmed;
    confirmed = new Map();
    unconfirmed.reset();
    for (const { uid, cloudId } of view.partners) {
      if (!view.isProvider(uid)) continue;
      const at = confirmedAt(uid) ?? before.get(uid) ?? now;
      confirmed.set(uid, at);
      unconfirmed.set({ partner: cloudId }, Math.max(0, now - at) / 1000);
    }
  };

  let observed: Observed | undefined;
  const look = (): void => {
    if (!observed) return;
    const { view, clock, keystone, auditFinding, databaseBytes } = observed;
    const now = clock.now();
    certificateDays.set((view.current.identity.notAfter - now) / dayMs);
    databaseUp.set(view.lost ? 0 : 1);
    databaseSize.set(databaseBytes());
    const state = keystone?.() ?? 'unknown';
    if (state !== 'unknown') keystoneUp.set(state === 'ok' ? 1 : 0);
    const finding = auditFinding?.();
    if (finding !== undefined) auditWhole.set(finding === null ? 1 : 0);
    const counts = new Map(trustStates.map((state) => [state, 0]));
    trustDays.reset();
    for (const partner of view.partners) {
      const state = view.stateOf(partner);
      counts.set(state, (counts.get(state) ?? 0) + 1);
      if (partner.trustTill !== null && state !== 'revoked')
        trustDays.set({ partner: partner.cloudId }, (partner.trustTill - now) / dayMs);
    }
    for (const [state, count] of counts) partners.set({ state }, count);
    lookAtRevocations(observed);
  };

  return {
    contentType: registry.contentType,
    text: async () => {
      look();
      const durations = calls.histogram('alliance_call_duration_seconds', 'Time of a call, by method and direction.');
      return `${await registry.metrics()}\n${durations}`;
    },
    observe: (given) => {
      observed = given;
    },
    call: (method, direction, outcome, durationMs) => calls.record(method, direction, outcome, durationMs),
    handshake: (direction, outcome) => handshakes.inc({ direction, outcome }),
    refusal: (reason) => refusals.inc({ reason }),
    channels: (direction, change) => channels.inc({ direction }, change),
    keystoneCall: (operation, outcome, durationMs) => {
      keystoneCalls.inc({ operation, outcome });
      keystoneDurations.observe({ operation }, durationMs / 1000);
    },
    facadeRequest: (route, status, durationMs) => {
      facadeRequests.inc({ route, status });
      facadeDurations.observe({ route }, durationMs / 1000);
    },
    foreignAnswer: (outcome, source) => foreignAnswers.inc({ outcome, source }),
    ...images,
  };
}
