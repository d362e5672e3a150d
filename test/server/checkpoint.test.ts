/** exchangeCheckpoint, over a real channel: what is kept, what is refused, and what raises an alarm. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { tendAudit } from '../../src/broker/auditTask.ts';
import { readCheckpoint, signCheckpoint } from '../../src/channel/checkpoint.ts';
import { dayMs } from '../../src/core/clock.ts';
import { auditLimits, sessionLimits } from '../../src/core/limits.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { AuditCheckpoint } from '../../src/wire/types.ts';
import { auditEntry } from '../support/audit.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { runCommand } from '../support/commandLine.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { PartnerPeer, pinOf } from '../support/partnerPeer.ts';
import type { RawPeer } from '../support/rawPeer.ts';

describe('exchangeCheckpoint', () => {
  const clock = createShiftedClock();
  let cloud: Cloud;
  let peer: PartnerPeer;
  let raw: RawPeer;

  beforeEach(async () => {
    cloud = await startCloud({ cloudId: 'east', clock, env: { ALLIANCE_AUDIT__KEEP_DAYS: '10' } });
    peer = await PartnerPeer.join(cloud);
    raw = await peer.channel();
  });
  afterEach(stopClouds);

  const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  interface Changes {
    readonly seq?: number;
    readonly hash?: Buffer;
    readonly at?: number;
    readonly seen?: { readonly seq: number; readonly hash: Buffer } | null;
    readonly by?: Identity;
    readonly to?: string;
  }
  const make = async ({ by = peer.identity, to = 'east', ...changes }: Changes = {}) => {
    const facts = { seq: 5, hash: a, at: clock.now(), seen: null, ...changes };
    return new AuditCheckpoint(await signCheckpoint(by, to, facts));
  };
  const send = async (changes?: Changes) => raw.call('exchangeCheckpoint', await make(changes));
  const held = async () => (await cloud.installation.store.audit.held())[0];
  const silent = { backwards: null, forked: null, disputed: null };
  const raised = async () =>
    Object.entries((await held())!.alarms).flatMap(([alarm, at]) => (at === null ? [] : [alarm]));
  const alarms = () => cloud.metric('alliance_refusals_total', { reason: 'checkpoint' });

  it('keeps what the partner says, and answers with its own head and what it holds', async () => {
    const { store, view } = cloud.installation;
    const answer = await send({ seq: 5, hash: a });
    const parties = { issuer: 'east', audience: 'peer', now: clock.now() };
    const facts = await readCheckpoint(answer, [pinOf(view.current.identity)], parties);
    expect(facts.seen).to.equal(null);
    const next = await readCheckpoint(await send({ seq: 6, hash: b }), [pinOf(view.current.identity)], parties);
    expect(next.seen, 'what was held before the question').to.deep.equal({ seq: 5, hash: a });
    expect(await store.audit.hashOf(facts.seq)).to.deep.equal(facts.hash);
    expect(await held()).to.deep.include({ partnerUid: peer.partner.uid, seq: 6, head: b, alarms: silent });
    await send({ seq: 9, hash: b, at: clock.now() + 1, seen: { seq: facts.seq, hash: facts.hash } });
    expect(await held()).to.deep.include({ seq: 9, head: b, alarms: silent });
    expect(await alarms()).to.equal(0);
  });

  it('is answered with no head while what is new of our audit is not right', async () => {
    const { installation } = cloud;
    await installation.store.audit.append(auditEntry());
    const db = new Sqlite(join(cloud.home, 'alliance.db'));
    const { seq } = await installation.store.audit.head();
    const set = (outcome: string) => db.prepare('update audit set outcome = ? where seq = ?').run(outcome, seq);
    try {
      set('denied');
      await rejection(send(), 'overloaded');
      expect(installation.auditWatch.finding).to.deep.include({ reason: 'altered' });
      expect(await held(), 'its own is kept all the same').to.deep.include({ seq: 5 });
      await rejection(send(), 'overloaded');
      set('accepted');
      await tendAudit(installation);
      expect(await send()).to.be.an('object');
      db.exec("update audit_head set hash = x'00'");
      await rejection(send(), 'overloaded');
    } finally {
      db.close();
    }
  });

  it('takes the same one again, as after a lost answer', async () => {
    const checkpoint = await make();
    await raw.call('exchangeCheckpoint', checkpoint);
    await raw.call('exchangeCheckpoint', checkpoint);
    expect(await alarms()).to.equal(0);
  });

  it('refuses what the partner did not sign for this cloud', async () => {
    const good = await make();
    const { payload, signature } = good;
    const altered = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), seq: 6 }),
    );
    const wrongs: [what: string, wrong: AuditCheckpoint][] = [
      ['altered', new AuditCheckpoint({ payload: altered.toString('base64url'), signature })],
      ['of another key', await make({ by: makeIdentity('peer') })],
      ['in the name of another cloud', await make({ by: { ...peer.identity, cloudId: 'north' as never } })],
      ['for another cloud', await make({ to: 'west' })],
      ['of the future', await make({ at: clock.now() + sessionLimits.skewMs + 5000 })],
      ['without a signature', new AuditCheckpoint({ payload, signature: '' })],
      ['endless', new AuditCheckpoint({ payload: 'A'.repeat(8192), signature })],
      ['of another use', new AuditCheckpoint({ payload, signature: signature.replace(/^[^.]+/, 'e30') })],
    ];
    for (const [what, wrong] of wrongs) {
      await rejection(raw.call('exchangeCheckpoint', wrong), 'ticket_refused');
      expect(await held(), what).to.equal(undefined);
    }
    expect(await alarms()).to.equal(0);
  });

  it('refuses our own one back', async () => {
    const answer = await send();
    await rejection(raw.call('exchangeCheckpoint', answer), 'ticket_refused');
  });

  it('an audit that went back or forked is refused and an alarm; an old statement is only refused', async () => {
    const first = await make({ seq: 4, at: clock.now() - auditLimits.overtakenMs - 1000 });
    await raw.call('exchangeCheckpoint', first);
    await send({ seq: 5 });
    await rejection(raw.call('exchangeCheckpoint', first), 'ticket_refused');
    expect(await alarms()).to.equal(0);
    await rejection(send({ seq: 4, at: clock.now() + 10 }), 'ticket_refused');
    expect(await raised()).to.deep.equal(['backwards']);
    await rejection(send({ seq: 5, hash: b, at: clock.now() + 20 }), 'ticket_refused');
    expect(await raised()).to.deep.equal(['backwards', 'forked']);
    expect(await alarms()).to.equal(2);
    expect(await held()).to.deep.include({ seq: 5, head: a });
    const records = await cloud.installation.store.audit.list({ kind: 'trust', newest: true, limit: 2 });
    expect(records.map(({ outcome }) => outcome)).to.deep.equal(['checkpoint_backwards', 'checkpoint_forked']);
  });

  it('that the partner holds a head that is not ours is an alarm of its own', async () => {
    const { audit } = cloud.installation.store;
    await send({ seen: { seq: 1, hash: (await audit.hashOf(1))! } });
    expect(await raised()).to.deep.equal([]);
    await send({ seq: 6, seen: { seq: 1, hash: b } });
    expect(await raised()).to.deep.equal(['disputed']);
    const { receivedAt, alarms: before } = (await held())!;
    clock.advance(1000);
    await send({ seq: 7, seen: { seq: 10_000, hash: b } });
    expect(await alarms()).to.equal(2);
    // What it says so often is not written so often.
    expect((await held())!.alarms).to.deep.equal(before);
    expect((await held())!.receivedAt).to.be.greaterThan(receivedAt);
    expect(await audit.list({ kind: 'trust', newest: true, limit: 5 })).to.satisfy(
      (records: { outcome: string }[]) =>
        records.filter(({ outcome }) => outcome === 'checkpoint_disputed').length === 1,
    );
    clock.advance(auditLimits.repeatMs);
    await send({ seq: 8, seen: { seq: 10_000, hash: b } });
    expect((await held())!.alarms.disputed).to.be.greaterThan(before.disputed!);
  });

  it('what the partner holds otherwise is not removed, but signed and told like all that is new', async () => {
    const { installation } = cloud;
    const live = async (days: number) => {
      clock.advance(days * dayMs);
      await installation.store.audit.append(auditEntry());
      return tendAudit(installation);
    };
    // Before the clock goes on, for the session ends with the day.
    await send({ seen: { seq: 1, hash: b } });
    await live(1);
    expect([await live(6), await live(6)]).to.deep.equal([true, true]);
    expect(installation.auditWatch.finding?.details).to.match(/^Partner peer has another hash of record 1/);
    expect(await installation.store.audit.seal('cut')).to.equal(null);
    await installation.store.partners.remove(peer.partner.uid);
    expect(await tendAudit(installation)).to.equal(true);
    expect(await installation.store.audit.seal('cut')).not.to.equal(null);
  });

  it('what a partner heard of lately is not removed, however old our own checkpoint says it is', async () => {
    const { installation } = cloud;
    const { audit } = installation.store;
    const live = async (days: number) => {
      for (let day = 0; day < days; day++) {
        clock.advance(dayMs);
        await audit.append(auditEntry());
        expect(await tendAudit(installation)).to.equal(true);
      }
    };
    await tendAudit(installation);
    const first = (await audit.firstCheckpoint())!;
    await live(9);
    raw = await peer.channel();
    await send({ seen: { seq: first.seq, hash: first.head } });
    await live(4);
    expect(await audit.seal('cut')).to.equal(null);
    // That it says so again is no news.
    raw = await peer.channel();
    await send({ seq: 6, seen: { seq: first.seq, hash: first.head } });
    await live(10);
    expect(await audit.seal('cut')).not.to.equal(null);
  });

  it('no alarm hides another one, whatever the partner says next', async () => {
    await send({ seq: 5 });
    await rejection(send({ seq: 4, at: clock.now() + 10 }), 'ticket_refused');
    await send({ seq: 6, at: clock.now() + 20, seen: { seq: 10_000, hash: b } });
    expect(await raised()).to.deep.equal(['backwards', 'disputed']);
    const { code, stdout } = await runCommand(['audit', 'verify', '--json'], { home: cloud.home, env: cloud.env });
    const { partners } = JSON.parse(stdout) as { partners: { alarms: string[] }[] };
    expect([code, partners[0]!.alarms]).to.deep.equal([1, ['backwards', 'disputed']]);
    const status = await runCommand(['status'], { home: cloud.home, env: cloud.env });
    expect(status.stdout).to.contain('The audit of peer has lost records').and.to.contain('peer holds a record of our');
  });

  it('is for active partners', async () => {
    await cloud.installation.store.partners.apply(peer.partner.uid, 'suspend');
    await cloud.installation.view.refresh();
    await raw.closed;
  });
});
