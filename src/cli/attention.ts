/** What needs an operator's hands; pure. */
import { dayMs } from '../core/clock.ts';
import { identityLimits } from '../core/limits.ts';
import type { AuditBreak, CheckpointAlarm } from '../model/audit.ts';
import { type Partner, usableKeys } from '../model/partner.ts';
import { type Provision, removalOf } from '../model/provision.ts';
import { effectiveState } from '../model/trust.ts';
import type { OpenExecution } from './openExecutions.ts';
import { formatDistance, formatDuration, isoTime } from './text.ts';

export interface Attention {
  readonly kind:
    | 'approval'
    | 'expiry'
    | 'error'
    | 'keystone'
    | 'broker'
    | 'revoked'
    | 'identity'
    | 'token_key'
    | 'audit'
    | 'project'
    | 'sync';
  /** cloud_id, where it is about one partner. */
  readonly partner: string | null;
  readonly message: string;
  readonly remedy: string;
}

interface Seen {
  readonly partners: readonly Partner[];
  readonly identity: { readonly notAfter: number };
  /** Whether a partner knows a key of ours that still counts. */
  readonly knowsUs: (partner: Partner) => boolean;
  readonly now: number;
  /** No error: it let us in, or is not configured. */
  readonly keystone: { readonly error: { readonly message: string; readonly remedy: string } | null };
  readonly broker: {
    readonly running: boolean;
    readonly died: boolean;
    readonly answers: boolean | null;
    readonly ready: boolean | null;
  };
  /** Those whose end is announced. */
  readonly projects: readonly Provision[];
  /** Syncs that ended badly. */
  readonly syncs: readonly OpenExecution[];
  /** Keys of tokens that more than one cloud says are its own. */
  readonly disputedKeys: readonly { readonly cloudId: string; readonly fingerprint: string }[];
  /** What was lately wrong between audits. */
  readonly auditAlarms: readonly { readonly cloudId: string; readonly alarm: CheckpointAlarm }[];
  /** What is wrong with our own audit, as far as that is known. */
  readonly auditBreak: AuditBreak | null;
  /** The last checkpoint of our audit, where by our clock it is yet to come. */
  readonly checkpointAhead: { readonly seq: number; readonly at: number } | null;
}

export const daysLeft = (till: number, now: number): number => Math.floor((till - now) / dayMs);

/** `ends within 7 days (6 d 3 h left)`, from the largest of the warning times on; undefined before. */
export function describeEnd(till: number, now: number): string | undefined {
  if (till <= now) return 'has ended';
  const days = [...identityLimits.warnDays].sort((a, b) => a - b).find((limit) => till - now <= limit * dayMs);
  if (days === undefined) return undefined;
  return `ends within ${days === 1 ? '1 day' : `${days} days`} (${formatDuration(till - now)} left)`;
}

export function attentionOf(seen: Seen): Attention[] {
  const { partners, projects, identity, knowsUs, now, keystone, broker, disputedKeys, auditAlarms } = seen;
  const { auditBreak, checkpointAhead } = seen;
  const list: Attention[] = [];
  const add = (kind: Attention['kind'], message: string, remedy: string, partner: string | null = null) =>
    list.push({ kind, partner, message, remedy });

  const active = partners.filter((partner) => effectiveState(partner, now) === 'active').length;
  if (broker.died) add('broker', 'The broker ended without stopping.', 'Read its log, and start `alliance serve`.');
  else if (!broker.running && active > 0)
    add(
      'broker',
      `The broker does not run here: ${active === 1 ? 'an active partner' : `${active} active partners`} cannot call it.`,
      'Start `alliance serve`.',
    );
  if (broker.answers === false)
    add(
      'broker',
      'The broker runs, but does not answer on http.listen.',
      'Read its log, and start it again if it hangs.',
    );
  if (broker.ready === false) add('broker', 'The broker is not ready.', 'Read its log, and /readyz on http.listen.');
  if (keystone.error) add('keystone', keystone.error.message, keystone.error.remedy);
  const end = describeEnd(identity.notAfter, now);
  if (end) add('expiry', `Our certificate ${end}.`, 'Run `alliance identity rotate`.');
  for (const { cloudId, fingerprint } of disputedKeys)
    add(
      'token_key',
      `${cloudId} publishes a key of tokens that another cloud has, too: ${fingerprint}.`,
      'Ask both operators, and run `alliance token trust-key FINGERPRINT --partner P`.',
      cloudId,
    );
  if (auditBreak)
    add(
      'audit',
      `Our audit is not whole, record ${auditBreak.seq} is ${auditBreak.reason}: ${auditBreak.details}`,
      'Run `alliance audit verify`, and go on as docs/audit.md says, "When the audit is not whole".',
    );
  if (checkpointAhead)
    add(
      'audit',
      `The clock is behind the last checkpoint of our audit, record ${checkpointAhead.seq}, ${isoTime(checkpointAhead.at)}: none is signed until then.`,
      'Set the clock right. If it is right, and was ahead before, see docs/audit.md, "When the clock was wrong".',
    );
  for (const { cloudId, alarm } of auditAlarms)
    add('audit', auditFaults[alarm](cloudId), 'Run `alliance audit verify --ask`.', cloudId);
  for (const project of projects) {
    const { message, remedy } = ofProject(project, now);
    add('project', message, remedy, project.cloudId);
  }
  for (const { message, remedy } of ofSyncs(seen.syncs)) add('sync', message, remedy);
  for (const partner of partners)
    for (const { kind, message, remedy } of ofPartner(partner, knowsUs(partner), now))
      add(kind, message, remedy, partner.cloudId);
  return list;
}

const auditFaults: Readonly<Record<CheckpointAlarm, (cloudId: string) => string>> = {
  backwards: (cloudId) => `The audit of ${cloudId} has lost records that it had shown to us.`,
  forked: (cloudId) => `The audit of ${cloudId} shows another history than before.`,
  disputed: (cloudId) => `${cloudId} holds a record of our audit that is not there, or is another one.`,
};

function ofProject(project: Provision, now: number): Pick<Attention, 'message' | 'remedy'> {
  const { direction, cloudId, asked } = project;
  const removal = removalOf(project) ?? now;
  const ends = removal > now ? `ends ${formatDistance(removal, now)}` : 'is over';
  return direction === 'in'
    ? {
        message: `The time of project ${asked.name}, made here for ${cloudId}, ${ends}: it is removed then.`,
        remedy: 'Look after its servers, volumes and images: they stay behind.',
      }
    : {
        message: `The time of our project ${asked.name} at ${cloudId} ${ends}: it is removed then.`,
        remedy: 'Have what is in it moved; `alliance provision project` asks for another one.',
      };
}

/** More of them are told as one. */
const syncsTold = 3;

function ofSyncs(syncs: readonly OpenExecution[]): Pick<Attention, 'message' | 'remedy'>[] {
  const told = syncs.slice(0, syncsTold).map(({ execution, isGuarded, reason }) => {
    const { id, trigger, source, regions, state } = execution;
    const what = `The sync of images ${source || '-'} -> ${regions.join(', ') || '-'} (${trigger})`;
    const why = reason === null ? '' : `: ${reason}`;
    return isGuarded
      ? {
          message: `${what} was stopped${why}`,
          remedy: `Look at \`alliance image plan\`; if that is meant, run \`alliance execution approve ${id}\`.`,
        }
      : {
          message: `${what} ${state === 'partly' ? 'was done only in part' : 'failed'}${why}${why === '' ? '.' : ''}`,
          remedy: `Run \`alliance execution show ${id}\`, then \`alliance execution retry ${id}\`.`,
        };
  });
  const more = syncs.length - told.length;
  if (more <= 0) return told;
  return [...told, { message: `So did ${more} more syncs of images.`, remedy: 'Run `alliance execution list`.' }];
}

type OfPartner = Omit<Attention, 'partner'>;

/** How a partner and we get to know each other's keys anew. */
export const pairAgain = ({ cloudId }: Partner): string =>
  `Run \`alliance partner remove ${cloudId}\` on both sides, and pair again; the other operator with --replace-identity.`;

function ofPartner(partner: Partner, knowsUs: boolean, now: number): OfPartner[] {
  const { cloudId, approval, trustTill, revokedBy } = partner;
  const state = effectiveState(partner, now);
  const renew = `Run \`alliance partner renew ${cloudId} --trust-till DATE\`.`;
  if (state !== 'revoked' && !knowsUs)
    return [
      { kind: 'identity', message: `${cloudId} knows none of our keys that still count.`, remedy: pairAgain(partner) },
    ];
  if (state === 'pending' && approval === 'us')
    return [
      {
        kind: 'approval',
        message: `${cloudId} waits for approval.`,
        remedy: `Run \`alliance partner approve ${cloudId} --code CODE\`.`,
      },
    ];
  if (state === 'revoked')
    return revokedBy === 'partner'
      ? [{ kind: 'revoked', message: `${cloudId} revoked us.`, remedy: `Run \`alliance partner remove ${cloudId}\`.` }]
      : [];
  if (state === 'expired') return [{ kind: 'expiry', message: `The trust in ${cloudId} has expired.`, remedy: renew }];
  return [...endsOf(partner, trustTill, renew, now), ...errorOf(partner)];
}

function endsOf(partner: Partner, trustTill: number | null, renew: string, now: number): OfPartner[] {
  const { cloudId } = partner;
  const trust = trustTill === null ? undefined : describeEnd(trustTill, now);
  const lastKey = Math.max(...usableKeys(partner, now).map(({ notAfter }) => notAfter), 0);
  const certificate = describeEnd(lastKey, now);
  return [
    ...(trust ? [{ kind: 'expiry', message: `The trust in ${cloudId} ${trust}.`, remedy: renew } as const] : []),
    ...(certificate
      ? [
          {
            kind: 'expiry',
            message: `The certificate of ${cloudId} ${certificate}.`,
            remedy: 'Ask its operator for `alliance identity rotate`.',
          } as const,
        ]
      : []),
  ];
}

/** An error counts until the partner was reached again. */
function errorOf({ cloudId, lastError, lastContact }: Partner): OfPartner[] {
  if (!lastError || lastError.at <= (lastContact ?? 0)) return [];
  const message = `The last try to reach ${cloudId} failed: ${lastError.message}`;
  return [{ kind: 'error', message, remedy: `Run \`alliance partner doctor ${cloudId}\`.` }];
}
