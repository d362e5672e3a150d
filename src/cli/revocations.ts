/** `alliance revocations lag` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { foreignLimits, revocationLimits } from '../core/limits.ts';
import type { Follower } from '../model/follower.ts';
import type { Partner } from '../model/partner.ts';
import { findBroker } from './brokerFile.ts';
import { type Cli, exits, shown } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { formatDistance, formatTable, isoTime } from './text.ts';

/** `stored` is as old as its last saving, and no fault of the partner's. */
const lateMs = foreignLimits.confirmedMs + revocationLimits.saveEveryMs;

export function addRevocations(program: Command, cli: Cli): void {
  const group = addGroup(program, 'revocations', "how fresh partners' revocations are here", 'revocations lag');
  addCommand(group, {
    usage: 'lag [partner]',
    summary: 'how far the revocations of providers were read, and when they were last known to be complete',
    more: 'Exit code 1 if those of an active provider have been unconfirmed for more than five seconds while the broker runs.',
    examples: ['revocations lag', 'revocations lag east --json'],
  }).action((name: string | undefined) =>
    finish(
      cli,
      cli.open((installation) => showLag(cli, installation, name)),
    ),
  );
}

async function showLag(cli: Cli, installation: Installation, name: string | undefined): Promise<number> {
  const { store, view, clock, home } = installation;
  const wanted = name === undefined ? [...view.partners] : [await store.partners.resolve(name)];
  const stored = new Map((await store.followers.list()).map((follower) => [follower.partnerUid, follower]));
  const now = clock.now();
  const { alive } = findBroker(home);
  const lags = wanted
    .filter(({ role }) => role !== 'consumer')
    .map((partner) => lagOf(partner, stored.get(partner.uid), { now, isFollowed: alive && isActive(view, partner) }));
  const rows = lags.map(({ partner, value, confirmedAt }) => [
    shown(partner),
    value.state,
    value.confirmed_at === null ? '-' : formatDistance(confirmedAt!, now),
    String(value.cursor ?? '-'),
    String(value.head ?? '-'),
    value.last_error ?? '-',
  ]);
  cli.print(
    { broker_running: alive, providers: lags.map(({ value }) => value) },
    rows.length === 0
      ? 'No providers: nobody has revocations to read.'
      : formatTable(['PARTNER', 'STATE', 'CONFIRMED', 'READ', 'HEAD', 'ERROR'], rows),
  );
  return lags.some(({ value }) => value.state === 'unconfirmed') ? exits.failed : exits.done;
}

const isActive = (view: Installation['view'], partner: Partner): boolean => view.stateOf(partner) === 'active';

function lagOf(
  partner: Partner,
  follower: Follower | undefined,
  { now, isFollowed }: { now: number; isFollowed: boolean },
) {
  const confirmedAt = follower?.confirmedAt ?? null;
  const isLate = confirmedAt === null || now - confirmedAt > lateMs;
  const value = {
    partner: partner.cloudId,
    state: !isFollowed ? 'paused' : isLate ? 'unconfirmed' : 'confirmed',
    cursor: follower?.cursor ?? null,
    head: follower?.head ?? null,
    confirmed_at: isoTime(confirmedAt),
    unconfirmed_s: confirmedAt === null ? null : Math.max(0, Math.round((now - confirmedAt) / 100) / 10),
    last_error: follower?.lastError ?? null,
  };
  return { partner, value, confirmedAt };
}
