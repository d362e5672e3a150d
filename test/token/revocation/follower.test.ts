/** A provider that misbehaves, played by the test, against the follower of a real broker. */
import { expect } from 'chai';
import Int64 from 'node-int64';
import { revocationLimits } from '../../../src/core/limits.ts';
import type { RevocationMarks } from '../../../src/token/revocation/marks.ts';
import { pseudonymsOf } from '../../../src/token/revocation/pseudonyms.ts';
import { Revocation, RevocationPage, type RevocationQuery, toInt64, toNumber } from '../../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../../support/cloud.ts';
import { type FalseCall, type FalsePartner, startFalsePartner, stopFalsePartners } from '../../support/falsePartner.ts';
import { tokenOf } from '../../support/revocations.ts';
import { until } from '../../support/until.ts';

interface PageFields {
  readonly sequences?: readonly number[];
  readonly next: number;
  readonly head?: number;
  readonly gap?: boolean;
  readonly ageMs?: number | null;
}

/** An id, as the provider tells it to the cloud. */
const told = pseudonymsOf('west', 'false-one');

const revocation = (sequence: number, changes: object = {}) =>
  new Revocation({
    sequence: toInt64(sequence),
    revoked_at: toInt64(Date.now()),
    issued_before: toInt64(Date.now()),
    audit_id: told(`a${sequence}`),
    ...changes,
  });

const page = ({ sequences = [], next, head = next, gap = false, ageMs = 0 }: PageFields) =>
  new RevocationPage({
    revocations: sequences.map((sequence) => revocation(sequence)),
    next_after: toInt64(next),
    head: toInt64(head),
    gap,
    ...(ageMs !== null && { age_ms: toInt64(ageMs) }),
  });

describe('a follower of revocations', () => {
  let cloud: Cloud;
  let provider: FalsePartner;
  let marks: RevocationMarks;
  /** What the follower asked for, and when. */
  let asked: { readonly after: number; readonly waitMs: number; readonly at: number }[] = [];
  /** What becomes of the next questions; the last one stays. A function answers by itself. */
  let script: (RevocationPage | ((call: FalseCall) => void))[] = [];

  const answer = (call: FalseCall): void => {
    if (call.method !== 'getRevocations') return;
    const query = call.argument as RevocationQuery;
    asked.push({ after: toNumber(query.after), waitMs: query.wait_ms, at: performance.now() });
    const next = script.length > 1 ? script.shift()! : script[0]!;
    if (typeof next === 'function') next(call);
    else call.reply('getRevocations', next);
  };
  const start = async (...answers: typeof script): Promise<void> => {
    script = answers;
    asked = [];
    provider = await startFalsePartner(cloud, { answer });
  };
  const lastError = async () => (await cloud.installation.store.followers.get(provider.partner.uid))?.lastError ?? null;
  const isMarked = (sequence: number): boolean =>
    marks.isRevoked(provider.partner.uid, tokenOf(`a${sequence}`, Date.now() - 60_000));
  const isConfirmed = (): boolean => marks.confirmedAt(provider.partner.uid) !== null;

  beforeEach(async () => {
    cloud = await startCloud({ cloudId: 'west' });
    marks = cloud.broker.federation.marks;
  });
  afterEach(async () => {
    await stopFalsePartners();
    await stopClouds();
  });

  it('begins where the list ends, reads on from there, and remembers where it was', async () => {
    await start(page({ next: 7 }), page({ sequences: [8, 9], next: 9, head: 10 }), page({ sequences: [10], next: 10 }));
    await until('the last mark', () => isMarked(10));
    expect(asked.slice(0, 3).map(({ after }) => after)).to.deep.equal([-1, 7, 9]);
    expect(asked.every(({ waitMs }) => waitMs <= revocationLimits.waitMs)).to.equal(true);
    expect([8, 9, 10].map(isMarked)).to.deep.equal([true, true, true]);
    script = [page({ next: 10 })];
    const { followers } = cloud.installation.store;
    await until('the stored cursor', async () => (await followers.get(provider.partner.uid))?.cursor === 10);
    await cloud.stopBroker();
    asked = [];
    await cloud.startBroker();
    await until('a question', () => asked.length > 0);
    expect(asked[0]!.after).to.equal(10);
  });

  it('confirms nothing until it has read to the end, and not without an age', async () => {
    await start(page({ next: 1, ageMs: null }));
    await until('two questions', () => asked.length > 1);
    expect(isConfirmed()).to.equal(false);
    script = [page({ sequences: [2], next: 2, head: 5 }), (call) => void call];
    await until('the mark', () => isMarked(2));
    expect(isConfirmed()).to.equal(false);
  });

  it('takes the age off the time at which it asked', async () => {
    const ageMs = 3000;
    await start(page({ next: 1, ageMs }));
    await until('a confirmation', isConfirmed);
    const confirmedAt = marks.confirmedAt(provider.partner.uid)!;
    expect(confirmedAt).to.be.at.most(Date.now() - ageMs);
    expect(confirmedAt).to.be.above(Date.now() - ageMs - 3000);
  });

  for (const [what, bad] of [
    ['goes back', page({ sequences: [3], next: 3 })],
    ['repeats', page({ sequences: [8, 8], next: 8 })],
    ['is out of order', page({ sequences: [9, 8], next: 9 })],
    ['ends before its own entries', page({ sequences: [8, 9], next: 8, head: 9 })],
    ['leads beyond its end', page({ next: 9, head: 8 })],
    ['has a head that went back', page({ next: 6 })],
    ['is from the future', page({ next: 7, ageMs: -5 })],
    ['is larger than asked for', page({ sequences: Array.from({ length: 1001 }, (_, i) => i + 8), next: 1008 })],
  ] as const)
    it(`a page that ${what} is refused, and nothing of it counts`, async () => {
      await start(page({ next: 7, ageMs: null }), bad);
      await until('the failure', async () => (await lastError()) === 'wire_malformed');
      expect(isConfirmed()).to.equal(false);
      expect([3, 8, 9].some(isMarked)).to.equal(false);
      expect(new Set(asked.slice(1).map(({ after }) => after))).to.deep.equal(new Set([7]));
    });

  for (const changes of [
    { user_id: '' },
    { user_id: 'Jane Doe' },
    { role_id: '\u0001'.repeat(22) },
    { domain_id: 'a'.repeat(23) },
    { audit_id: 'a'.repeat(21) },
    { audit_chain_id: `${'a'.repeat(21)}.` },
    { expires_at: new Int64(Buffer.alloc(8, 0x7f)) },
    { revoked_at: new Int64(Buffer.alloc(8, 0x7f)) },
  ])
    it(`steps over a revocation that cannot be read, ${JSON.stringify(changes).slice(0, 40)}: no answer counts any more, what is behind it does`, async () => {
      const between = new RevocationPage({
        ...page({ next: 10 }),
        revocations: [revocation(8), revocation(9, changes), revocation(10)],
      });
      let drops = 0;
      marks.onNote((_issuer, event) => {
        if (event === null) drops += 1;
      });
      let ready = false;
      await start(page({ next: 7 }), (call) => {
        // What was dropped at the beginning is none of this.
        if (!ready) drops = 0;
        ready = true;
        script = [page({ next: 10 })];
        call.reply('getRevocations', between);
      });
      await until('a later question', () => asked.at(-1)?.after === 10);
      expect(drops).to.equal(1);
      expect([8, 10].map(isMarked)).to.deep.equal([true, true]);
      await until('a confirmation', isConfirmed);
      expect(await lastError()).to.equal(null);
      expect(await cloud.metric('alliance_refusals_total', { reason: 'revocation_unreadable' })).to.equal(1);
    });

  it('a gap drops everything, once more when the end is found, and is told from there on', async () => {
    await start(
      page({ next: 7 }),
      page({ sequences: [8], next: 8 }),
      page({ next: 20, gap: true }),
      page({ next: 30 }),
    );
    let drops = 0;
    marks.onNote((_issuer, event) => {
      if (event === null) drops += 1;
    });
    await until('the new end', () => asked.some(({ after }) => after === 30));
    expect(asked.slice(0, 5).map(({ after }) => after)).to.deep.equal([-1, 7, 8, -1, 30]);
    expect(isMarked(8)).to.equal(false);
    expect(drops).to.be.at.least(2);
    await until('a confirmation', isConfirmed);
  });

  it('one that answers at once with nothing is asked twice a second', async () => {
    await start(page({ next: 7 }));
    await until('some questions', () => asked.length > 4);
    // The first question waited for its channel.
    for (const [index, { at }] of asked.entries())
      if (index > 1) expect(at - asked[index - 1]!.at).to.be.at.least(revocationLimits.emptyPauseMs - 50);
  });

  it('one that is silent, or fails, is asked less and less often, and heard again when it is back', async function () {
    this.timeout(30_000);
    await start(page({ next: 7 }), (call) => call.socket.destroy());
    await until('the failure', async () => (await lastError()) !== null, 15_000);
    expect(['connection_lost', 'unreachable', 'circuit_open']).to.include(await lastError());
    script = [page({ sequences: [8], next: 8 }), page({ next: 8 })];
    await until('the mark', () => isMarked(8), 15_000);
    await until('no failure', async () => (await lastError()) === null);
  });

  it('a flood of notices wakes it no more often than it would ask by itself', async () => {
    await start(page({ next: 7 }));
    await until('a confirmation', isConfirmed);
    const before = asked.length;
    const { followers } = cloud.broker.federation;
    const endsAt = performance.now() + 1000;
    await until('a second', () => {
      for (let n = 0; n < 1000; n++) followers.wake(provider.partner.uid);
      return performance.now() > endsAt;
    });
    expect(asked.length - before).to.be.at.most(6);
  });

  it('more revocations than fit make it begin anew, unconfirmed', async function () {
    this.timeout(30_000);
    let last = 7;
    const endless = (call: FalseCall): void => {
      const first = last + 1;
      last += 1000;
      const alike = Array.from({ length: 1000 }, (_, i) =>
        revocation(first + i, { audit_id: undefined, user_id: told('u'), expires_at: toInt64((first + i) * 1000) }),
      );
      call.reply('getRevocations', new RevocationPage({ ...page({ next: last, head: last + 1 }), revocations: alike }));
      script = [endless];
    };
    await start(page({ next: 7, ageMs: null }), endless);
    await until('it begins anew', () => asked.filter(({ after }) => after === -1).length > 1, 15_000);
    expect(isConfirmed()).to.equal(false);
    const atOnce = asked.length;
    expect(atOnce).to.be.below(20);
  });
});
