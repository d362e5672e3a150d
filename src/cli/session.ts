/** `alliance session list, open, close` */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import type { Partner } from '../model/partner.ts';
import type { SessionFacts } from '../model/session.ts';
import { closeSessions, openSession } from '../rproxy/session.ts';
import { type Cli, shown } from './cli.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { formatTable, formatTime, isoTime } from './text.ts';

export function addSession(program: Command, cli: Cli): void {
  const group = addGroup(program, 'session', 'sessions with partners', 'session list');
  addCommand(group, {
    usage: 'list [partner]',
    summary: 'list sessions, those that ended and can still prove continuity included',
    examples: ['session list', 'session list west --json'],
  }).action((name: string | undefined) =>
    finish(
      cli,
      cli.open((installation) => list(cli, installation, name)),
    ),
  );

  addCommand(group, {
    usage: 'open <partner>',
    summary: 'agree on a new session and prove it by a channel',
    examples: ['session open west'],
  }).action((name: string) =>
    finish(
      cli,
      cli.withPartner(name, async (partner, { pool, clock, store }) => {
        const { sid } = await openSession(pool, partner);
        // As stored, since opening the channel has confirmed it.
        const session = (await store.sessions.list(partner.uid)).find((one) => one.sid === sid)!;
        const till = formatTime(session.validTill);
        cli.print(
          viewSession(session, partner, clock.now()),
          `session ${sid} with ${shown(partner)}, valid till ${till}`,
        );
        return undefined;
      }),
    ),
  );

  addCommand(group, {
    usage: 'close <partner>',
    summary: 'end all sessions with a partner; running brokers close their channels within a second',
    more: 'The next call agrees on a new session. To end the trust: alliance partner suspend, revoke.',
    examples: ['session close west'],
  }).action((name: string) =>
    finish(
      cli,
      cli.withPartner(name, async (partner, { store }) => {
        const closed = await closeSessions(store, partner);
        cli.print({ partner: partner.cloudId, closed }, `${closed} ${closed === 1 ? 'session' : 'sessions'} closed`);
        return undefined;
      }),
    ),
  );
}

const isLive = (session: SessionFacts, now: number): boolean => session.hasSecret && session.validTill > now;

const viewSession = (session: SessionFacts, partner: Pick<Partner, 'cloudId'> | undefined, now: number) => ({
  sid: session.sid,
  partner: partner?.cloudId ?? null,
  direction: session.direction,
  live: isLive(session, now),
  created_at: isoTime(session.createdAt),
  confirmed_at: isoTime(session.confirmedAt),
  valid_till: isoTime(session.validTill),
  continuity_till: session.hasContinuity ? isoTime(session.continuityTill) : null,
});

async function list(cli: Cli, { store, clock }: Installation, name: string | undefined): Promise<undefined> {
  const now = clock.now();
  const partners = name === undefined ? await store.partners.list() : [await store.partners.resolve(name)];
  const byUid = new Map(partners.map((partner) => [partner.uid, partner]));
  const sessions = await store.sessions.list(name === undefined ? undefined : partners[0]?.uid);
  const rows = sessions.map((session) => [
    byUid.get(session.partnerUid)?.name ?? '-',
    session.direction === 'initiator' ? 'ours' : "partner's",
    isLive(session, now) ? 'live' : 'ended',
    formatTime(session.createdAt),
    formatTime(session.validTill),
    session.confirmedAt === null ? 'no' : 'yes',
    session.sid,
  ]);
  cli.print(
    { sessions: sessions.map((session) => viewSession(session, byUid.get(session.partnerUid), now)) },
    formatTable(['PARTNER', 'CALLS', 'STATE', 'AGREED', 'VALID TILL', 'USED', 'SID'], rows),
  );
  return undefined;
}
