/** What every engine must do about the audit. */
import { expect } from 'chai';
import type { CloudId } from '../../../src/core/ids.ts';
import { auditLimits } from '../../../src/core/limits.ts';
import type { AuditEntry } from '../../../src/model/audit.ts';
import { auditEntry, genuine } from '../../support/audit.ts';
import { rejection } from '../../support/errors.ts';
import { newInvitation, newKey, newPartner, newSession, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeAudit(bench: Bench): void {
  const [east, west] = ['east', 'west'] as [CloudId, CloudId];
  const outcomes = async () => (await bench.store.audit.list()).map(({ kind, outcome }) => `${kind} ${outcome}`);
  const sound = async () => (await bench.store.audit.verify(genuine)).broken;

  describe('audit', () => {
    it('keeps what was appended, in a chain that begins with zeros', async () => {
      const { audit } = bench.store;
      const entry = auditEntry({ subject: 'user \u2028 ü', details: { b: [1, { z: null, a: true }], a: 'x' } });
      await audit.append(entry);
      await audit.append(auditEntry());
      const [first, second] = await audit.list();
      expect(first).to.deep.include({ ...entry, seq: 1, at: testStart, previous: Buffer.alloc(32) });
      expect(second!.previous).to.deep.equal(first!.hash);
      expect(await audit.head()).to.deep.equal({ seq: 2, hash: second!.hash, at: testStart });
      expect([await audit.hashOf(2), await audit.hashOf(3)]).to.deep.equal([second!.hash, null]);
      expect(await audit.verify(genuine)).to.deep.include({ broken: null, records: 2, cut: null, gaps: [] });
    });

    it('lists by kind, partner and time, page by page or the last ones', async () => {
      const { store, clock } = bench;
      for (let i = 0; i < 12; i++) {
        const [kind, partner] = [i % 2 ? 'trust' : 'validation', i % 3 ? east : west] as const;
        await store.audit.append(auditEntry({ kind, partner, subject: String(i) }));
        clock.advance(10);
      }
      const found = async (query: Parameters<typeof store.audit.list>[0]) =>
        (await store.audit.list(query)).map(({ subject }) => Number(subject));
      expect(await found({ kind: 'trust', partner: west })).to.deep.equal([3, 9]);
      expect(await found({ since: testStart + 90, until: testStart + 110 })).to.deep.equal([9, 10]);
      expect(await found({ limit: 3 })).to.deep.equal([0, 1, 2]);
      expect(await found({ limit: 3, after: 3 })).to.deep.equal([3, 4, 5]);
      expect(await found({ limit: 3, newest: true })).to.deep.equal([9, 10, 11]);
      expect(await found({ limit: 2, newest: true, kind: 'trust' })).to.deep.equal([9, 11]);
    });

    it('refuses what no record can be made of, and hides what is named like a secret', async () => {
      const { audit } = bench.store;
      const unfit: Partial<AuditEntry>[] = [
        { details: { n: 1.5 } },
        { details: { n: Number.NaN } },
        { details: { x: 'x'.repeat(auditLimits.detailsBytes) } },
        { subject: 'x'.repeat(auditLimits.wordBytes + 1) },
      ];
      for (const changes of unfit) await rejection(audit.append(auditEntry(changes)), 'bad_request');
      await audit.append(auditEntry({ details: { token: 'gAAA', user: { password: 'p' }, n: undefined } }));
      const [record] = await audit.list();
      expect(record!.details).to.deep.equal({ token: '[redacted]', user: { password: '[redacted]' } });
    });

    it('writes many at a time, in the order in which they came, and refuses more than may wait', async () => {
      const { audit } = bench.store;
      const many = Array.from({ length: auditLimits.queue }, (_, i) =>
        audit.append(auditEntry({ subject: String(i) })),
      );
      await rejection(audit.append(auditEntry()), 'overloaded');
      await Promise.all(many);
      const first = await audit.list({ limit: 1000 });
      expect(first.map(({ subject }) => subject)).to.deep.equal(first.map((_, i) => String(i)));
      expect(await audit.verify(genuine)).to.deep.include({ broken: null, records: auditLimits.queue });
    });

    it('fails with the database, and stores what waits when the store closes', async () => {
      const other = await bench.another();
      const last = other.audit.append(auditEntry({ subject: 'last' }));
      await other.close();
      await last;
      await rejection(other.audit.append(auditEntry()), 'shutting_down');
      expect((await bench.store.audit.list()).map(({ subject }) => subject)).to.deep.equal(['last']);
    });

    it('is one chain whoever appends', async () => {
      const stores = [bench.store, await bench.another()];
      const acts = Array.from({ length: 60 }, (_, i) => {
        const store = stores[i % 2]!;
        return i % 5 ? store.audit.append(auditEntry()) : store.partners.add(newPartner(`cloud-${i}`));
      });
      await Promise.all(acts);
      expect(await bench.store.audit.verify(genuine)).to.deep.include({ broken: null, records: 60 });
    });

    it('notes what others can provoke at will once in a while', async () => {
      const { store, clock } = bench;
      const refusal = auditEntry({ kind: 'handshake', partner: east, outcome: 'rate_limited' });
      for (let i = 0; i < 5; i++) await store.audit.note(refusal);
      await store.audit.note({ ...refusal, partner: west });
      await store.audit.note({ ...refusal, outcome: 'continuity_required' });
      expect(await store.audit.list()).to.have.length(3);
      clock.advance(auditLimits.repeatMs);
      await store.audit.note(refusal);
      const records = await store.audit.list();
      expect(records).to.have.length(4);
      const omitted = records.map(({ details }) => details.omitted);
      expect(omitted, 'how many have no record').to.deep.equal([undefined, undefined, undefined, 4]);
    });

    it('notes of each image that it was read, once in a while', async () => {
      const { store, clock } = bench;
      const read = auditEntry({ kind: 'image', partner: east, outcome: 'read', subject: 'one' });
      for (const subject of ['one', 'two', 'one', 'two', 'one']) await store.audit.note({ ...read, subject });
      await store.prune(clock.advance(auditLimits.repeatMs));
      const told = (await store.audit.list()).map(({ subject, details }) => [subject, details.omitted]);
      expect(told).to.have.deep.members([
        ['one', undefined],
        ['two', undefined],
        ['one', 2],
        ['two', 1],
      ]);
    });

    it('tells how many it left out when none of their kind follows: after a time, and at the end', async () => {
      const { store, clock } = bench;
      const refusal = auditEntry({ kind: 'handshake', partner: east, outcome: 'rate_limited', subject: 'who' });
      const told = async (of = store) =>
        (await of.audit.list()).map(({ subject, partner, details }) => [subject, partner, details.omitted]);
      for (let i = 0; i < 4; i++) await store.audit.note(refusal);
      await store.prune(clock.advance(auditLimits.repeatMs - 1));
      expect(await told()).to.have.length(1);
      await store.prune(clock.advance(1));
      await store.prune(clock.advance(1));
      expect(await told()).to.deep.equal([
        [refusal.subject, east, undefined],
        [null, east, 3],
      ]);
      for (let i = 0; i < 3; i++) await store.audit.note({ ...refusal, partner: west });
      expect(await store.audit.note(refusal), 'one that has its own record again').to.equal(true);
      await store.audit.note(refusal);
      const other = await bench.another();
      await store.close();
      const rest = (await told(other)).slice(2);
      expect(rest).to.have.deep.members([
        [refusal.subject, west, undefined],
        [refusal.subject, east, undefined],
        [null, west, 2],
        [null, east, 1],
      ]);
    });

    it('loses no count of those for which there is no room any more', async () => {
      const { store } = bench;
      const refusal = auditEntry({ kind: 'handshake', partner: east });
      for (let i = 0; i < 3; i++) await store.audit.note({ ...refusal, outcome: 'first' });
      const others = Array.from({ length: auditLimits.repeatsTracked }, (_, i) => ({ ...refusal, outcome: `o${i}` }));
      await Promise.all(others.slice(1).map((entry) => store.audit.note(entry)));
      expect(await store.audit.list({ newest: true, limit: 1 })).to.have.nested.property('[0].details').that.is.empty;
      await store.audit.note(others[0]!);
      const [last] = await store.audit.list({ newest: true, limit: 1 });
      expect(last).to.deep.include({ outcome: 'first', details: { omitted: 2 } });
    }).timeout(20_000);

    it('notes nothing that it could not store, and tries again with the next', async () => {
      const { store } = bench;
      const big = auditEntry({
        kind: 'handshake',
        partner: east,
        details: { text: 'x'.repeat(auditLimits.detailsBytes) },
      });
      const notes = await Promise.allSettled([store.audit.note(big), store.audit.note(big)]);
      expect(notes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
      await store.audit.note({ ...big, details: {} });
      expect((await store.audit.list()).map(({ details }) => details)).to.deep.equal([{}]);
    });
  });

  describe('audit of acts', () => {
    it('has every change of trust, in its transaction', async () => {
      const { store, clock } = bench;
      const { uid } = await store.partners.add(newPartner('east', { state: 'pending', approval: 'us' }));
      await store.partners.apply(uid, 'approve');
      await store.partners.apply(uid, 'suspend');
      await rejection(store.partners.apply(uid, 'suspend'), 'illegal_transition');
      await store.partners.apply(uid, 'resume');
      await store.partners.update(uid, { name: 'orient', trustTill: clock.now() + 100 });
      await store.partners.update(uid, { bundleSequence: 3 });
      clock.advance(100);
      await store.prune(clock.now());
      await store.partners.apply(uid, 'renew', { trustTill: null });
      await store.partners.apply(uid, 'revoke', { by: 'partner' });
      await store.partners.remove(uid);
      const words = 'approved suspended resumed changed expired renewed revoked removed'.split(' ');
      expect(await outcomes()).to.deep.equal(['pairing stored', ...words.map((word) => `trust ${word}`)]);
      const [paired, , , , changed, expired, , revoked] = await store.audit.list({ partner: east });
      expect(paired!.details).to.deep.include({ role: 'both', state: 'pending' });
      expect(changed!.details).to.deep.equal({ from: 'active', name: 'orient', trust_till: clock.now() });
      expect([expired!.actor, revoked!.actor]).to.deep.equal(['broker', 'partner']);
      expect(await sound()).to.equal(null);
    });

    it('has rotations of both sides, and handshakes', async () => {
      const { store, clock } = bench;
      await store.identities.init({ ...newKey(), cloudId: west });
      const partner = await store.partners.add(newPartner('east'));
      const session = newSession(partner);
      await store.sessions.insert(session, { attempt: 'bootstrap', requestId: 'r1' });
      await rejection(store.sessions.insert(session), 'session_invalid');
      const [next, last] = [newKey(), newKey()];
      const overlapTill = clock.now() + 1000;
      const oldFingerprint = session.partnerFingerprint;
      await store.partners.rotateKeys(partner.uid, { sequence: 1, oldFingerprint, key: next, overlapTill });
      await store.partners.retireOldKey(partner.uid, next.fingerprint);
      await store.partners.rotateKeys(partner.uid, {
        sequence: 2,
        oldFingerprint: next.fingerprint,
        key: last,
        overlapTill,
      });
      await store.identities.rotate(newKey(), { overlapTill });
      clock.advance(1000);
      await store.prune(clock.now());
      expect(await outcomes()).to.deep.equal([
        ...['trust identity_made', 'pairing stored', 'handshake agreed'],
        ...['trust key_announced', 'trust key_changed', 'trust key_announced'],
        ...['trust identity_rotated', 'trust key_changed', 'trust identity_retired'],
      ]);
      const [handshake] = await store.audit.list({ kind: 'handshake' });
      expect(handshake).to.deep.include({ actor: 'partner', partner: east, subject: session.sid, requestId: 'r1' });
      expect(handshake!.details).to.deep.equal({ attempt: 'bootstrap', direction: 'in' });
    });

    it('has invitations, without what would let another accept them', async () => {
      const { store } = bench;
      const [used, cancelled] = [newInvitation(), newInvitation()];
      await store.invitations.create(used);
      await store.invitations.create(cancelled);
      await store.invitations.cancel(cancelled.id);
      await store.invitations.cancel(cancelled.id);
      const partner = newPartner('east');
      const acceptance = { fingerprint: partner.key.fingerprint, now: testStart, partner };
      await store.invitations.consume(used.id, acceptance);
      await store.invitations.consume(used.id, acceptance);
      await rejection(store.invitations.consume(cancelled.id, acceptance), 'invitation_refused');
      const words = ['invited', 'invited', 'cancelled', 'stored', 'repeated'];
      expect(await outcomes()).to.deep.equal(words.map((word) => `pairing ${word}`));
      const text = JSON.stringify(await store.audit.list());
      for (const secret of [used.id, used.kp.toString('hex'), used.kp.toString('base64url')])
        expect(text).not.to.contain(secret);
    });
  });

  describe('audit under seal', () => {
    const seal = (seq: number, head: Buffer, at: number) => ({ seq, head, at, payload: 'p', signature: 's' });

    it('is cut where the seal says, all of it or a part, and leaves what it was cut at', async () => {
      const { audit } = bench.store;
      const heads: Buffer[] = [];
      for (let seq = 1; seq <= 5; seq++) {
        await audit.append(auditEntry());
        heads[seq] = (await audit.hashOf(seq))!;
      }
      await rejection(audit.cut(seal(2, Buffer.alloc(32), 1)), 'internal');
      await audit.addCheckpoint(seal(1, heads[1]!, 1));
      await audit.cut(seal(2, heads[2]!, 2));
      expect((await audit.list()).map(({ seq }) => seq)).to.deep.equal([3, 4, 5]);
      expect(await audit.seal('checkpoint')).to.equal(null);
      expect(await audit.verify(genuine)).to.deep.include({ broken: null, records: 3 });
      await audit.cut(seal(5, heads[5]!, 3));
      expect(await audit.verify(genuine)).to.deep.include({ broken: null, records: 0 });
      await audit.append(auditEntry());
      expect((await audit.list()).map(({ seq }) => seq)).to.deep.equal([6]);
      expect((await audit.verify(genuine)).cut?.seq).to.equal(5);
      expect((await audit.verify({ isGenuine: async () => false })).broken?.reason).to.equal('unsigned');
    });

    it('finds checkpoints by their time, the first of what is there', async () => {
      const { audit } = bench.store;
      for (let seq = 1; seq <= 4; seq++) {
        await audit.append(auditEntry());
        await audit.addCheckpoint(seal(seq, (await audit.hashOf(seq))!, [0, 50, 10, 20, 30][seq]!));
      }
      const found = async (since: number, before: number) =>
        (await audit.firstCheckpoint({ since, before }))?.seq ?? null;
      expect(await Promise.all([found(0, 100), found(0, 50), found(15, 30), found(30, 50)])).to.deep.equal([
        1, 2, 3, 4,
      ]);
      expect(await Promise.all([found(0, 10), found(31, 50)])).to.deep.equal([null, null]);
      const [head, stale] = [(await audit.hashOf(2))!, (await audit.seal('checkpoint'))!];
      await audit.cut(seal(2, head, 60));
      await audit.addCheckpoint({ ...stale, seq: 1, at: 5 });
      expect(await found(0, 100), 'one of what is gone tells nothing').to.equal(3);
      expect((await audit.firstCheckpoint())?.seq).to.equal(3);
    });

    it('is read from a record on, up to one, and so many at a time', async () => {
      const { audit } = bench.store;
      const rows = auditLimits.turnRows + 5;
      for (let i = 0; i < rows; i += 500)
        await Promise.all(Array.from({ length: Math.min(500, rows - i) }, () => audit.append(auditEntry())));
      const at = async (seq: number) => ({ seq, hash: (await audit.hashOf(seq))!, by: 'X' });
      const passed: number[] = [];
      const options = { ...genuine, passed: ({ seq }: { seq: number }) => passed.push(seq) };
      expect(await audit.verify(options)).to.deep.include({ broken: null, records: rows });
      expect(passed).to.deep.equal([auditLimits.turnRows, rows]);
      const { records, head } = await audit.verify({ ...genuine, from: await at(3), till: await at(7) });
      expect([records, head.seq]).to.deep.equal([4, 7]);
      expect(await audit.verify({ ...genuine, rows: 10 })).to.deep.include({ records: auditLimits.turnRows });
      const beyond = await audit.verify({ ...genuine, till: { ...(await at(7)), seq: rows + 1 } });
      expect(beyond.broken).to.deep.include({ seq: rows + 1, reason: 'truncated' });
      const other = await audit.verify({ ...genuine, till: { ...(await at(7)), seq: 8 } });
      expect(other.broken).to.deep.include({ seq: 8, reason: 'altered' });
    });

    it('keeps the first statement of a partner, one a day and those that contradict us', async () => {
      const { store, clock } = bench;
      const { uid } = await store.partners.add(newPartner('east'));
      const say = (seq: number, disputed = false) =>
        store.audit.receive(uid, seal(seq, Buffer.alloc(32, seq), clock.now()), disputed);
      const kept = async () => (await store.audit.statements()).map(({ seq }) => seq).sort((a, b) => a - b);
      const day = 86_400_000;
      await say(1);
      await say(2);
      await say(3, true);
      await say(4, true);
      clock.advance(day);
      await say(5);
      expect(await kept()).to.deep.equal([1, 3, 5]);
      clock.advance(auditLimits.statementDays * day);
      await say(6);
      expect(await kept(), 'the first day stays').to.deep.equal([1, 3, 6]);
    });

    it('keeps the latest checkpoint of a partner, and tells what does not follow it', async () => {
      const { store, clock } = bench;
      const { uid } = await store.partners.add(newPartner('east'));
      const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
      const at = clock.now();
      const receive = (seq: number, head: Buffer, when: number) => store.audit.receive(uid, seal(seq, head, when));
      expect(await receive(5, a, at)).to.equal('kept');
      expect(await receive(5, a, at)).to.equal('kept');
      expect(await receive(5, b, at + 1)).to.equal('forked');
      expect(await receive(4, b, at + 1)).to.equal('backwards');
      expect(await receive(4, b, at)).to.equal('overtaken');
      expect(await receive(4, b, at - auditLimits.overtakenMs - 1)).to.equal('stale');
      expect(await receive(6, b, at + 5)).to.equal('kept');
      await store.audit.raiseAlarm(uid, 'forked');
      const [held] = await store.audit.held();
      expect(held).to.deep.include({ partnerUid: uid, seq: 6, head: b, at: at + 5, receivedAt: at });
      expect(held!.alarms).to.deep.equal({ backwards: null, forked: clock.now(), disputed: null });
    });
  });
}
