import { expect } from 'chai';
import { attentionOf, daysLeft, describeEnd } from '../../src/cli/attention.ts';
import type { Execution } from '../../src/model/execution.ts';
import type { Partner } from '../../src/model/partner.ts';
import type { Provision } from '../../src/model/provision.ts';

const day = 86_400_000;
const now = Date.UTC(2027, 0, 1);

const quiet = {
  now,
  partners: [],
  identity: { notAfter: now + 3650 * day },
  knowsUs: () => true,
  keystone: { error: null },
  broker: { running: true, died: false, answers: true, ready: true },
  projects: [],
  syncs: [],
  disputedKeys: [],
  auditAlarms: [],
  auditBreak: null,
  checkpointAhead: null,
};

const partner = (changes: Partial<Partner>): Partner =>
  ({
    cloudId: 'west',
    name: 'west',
    state: 'active',
    approval: null,
    trustTill: null,
    revokedBy: null,
    lastContact: null,
    lastError: null,
    keys: [{ state: 'current', overlapTill: null, notAfter: now + 365 * day, fingerprint: Buffer.alloc(32) }],
    ...changes,
  }) as Partner;

const kinds = (changes: Partial<Partner>) =>
  attentionOf({ ...quiet, partners: [partner(changes)] }).map(({ kind, message }) => `${kind}: ${message}`);

describe('cli/attention', () => {
  it('names syncs that ended badly, and what to do about each', () => {
    const execution = (changes: Partial<Execution>) =>
      ({
        id: 'e1',
        trigger: 'policy:nightly',
        source: 'M',
        regions: ['A', 'B'],
        state: 'failed',
        ...changes,
      }) as Execution;
    const syncs = [
      { execution: execution({}), isGuarded: false, reason: 'Glance cannot be reached.' },
      { execution: execution({ id: 'e2', state: 'stopped', regions: [] }), isGuarded: true, reason: 'It has shrunk.' },
      { execution: execution({ id: 'e3', state: 'partly' }), isGuarded: false, reason: null },
      ...[4, 5].map((n) => ({ execution: execution({ id: `e${n}` }), isGuarded: false, reason: null })),
    ];
    const found = attentionOf({ ...quiet, syncs });
    expect(found.map(({ kind }) => kind)).to.deep.equal(['sync', 'sync', 'sync', 'sync']);
    expect(found.map(({ message }) => message)).to.deep.equal([
      'The sync of images M -> A, B (policy:nightly) failed: Glance cannot be reached.',
      'The sync of images M -> - (policy:nightly) was stopped: It has shrunk.',
      'The sync of images M -> A, B (policy:nightly) was done only in part.',
      'So did 2 more syncs of images.',
    ]);
    expect(found.map(({ remedy }) => /execution (\w+( e\d)?)/.exec(remedy)?.[1])).to.deep.equal([
      ...['show e1', 'approve e2', 'show e3', 'list'],
    ]);
  });

  it('names audits that are not what they were', () => {
    const auditAlarms = (['backwards', 'forked', 'disputed'] as const).map((alarm) => ({ cloudId: 'east', alarm }));
    const found = attentionOf({ ...quiet, auditAlarms });
    expect(found.map(({ kind, partner: of }) => [kind, of])).to.deep.equal(auditAlarms.map(() => ['audit', 'east']));
    expect(found.map(({ message }) => message).join()).to.match(/lost records.*another history.*our audit/);
  });

  it('names our own audit where it is not whole', () => {
    const auditBreak = { seq: 5, reason: 'altered', details: 'Record 5 is not as it was written.' } as const;
    const [one, ...more] = attentionOf({ ...quiet, auditBreak });
    expect(more).to.deep.equal([]);
    expect(one).to.include({ kind: 'audit', partner: null });
    expect(one!.remedy).to.contain('When the audit is not whole');
    expect(one!.message).to.equal('Our audit is not whole, record 5 is altered: Record 5 is not as it was written.');
  });

  it('says why no checkpoint is signed while the clock is behind the last one', () => {
    const [one, ...more] = attentionOf({ ...quiet, checkpointAhead: { seq: 5, at: now } });
    expect(more).to.deep.equal([]);
    expect(one).to.include({ kind: 'audit', partner: null });
    expect(one!.message).to.match(/record 5, 2027-01-01T/);
    expect(one!.remedy).to.contain('Set the clock right');
  });

  it('warns 30, 7 and 1 days ahead of an end', () => {
    expect(describeEnd(now + 31 * day, now)).to.equal(undefined);
    expect(describeEnd(now + 30 * day, now)).to.equal('ends within 30 days (30 d left)');
    expect(describeEnd(now + 8 * day, now)).to.contain('within 30 days');
    expect(describeEnd(now + 7 * day, now)).to.contain('within 7 days');
    expect(describeEnd(now + day + 1, now)).to.contain('within 7 days');
    expect(describeEnd(now + day, now)).to.contain('within 1 day (');
    expect(describeEnd(now, now)).to.equal('has ended');
    expect(daysLeft(now + day - 1, now)).to.equal(0);
  });

  it('a key of tokens that two clouds publish', () => {
    const disputedKeys = [{ cloudId: 'east', fingerprint: 'SHA256:AB' }];
    const [one, ...more] = attentionOf({ ...quiet, disputedKeys });
    expect(more).to.deep.equal([]);
    expect([one!.kind, one!.partner]).to.deep.equal(['token_key', 'east']);
    expect(one!.message).to.contain('SHA256:AB');
  });

  it('projects whose time ends, on both sides', () => {
    const project = (changes: Partial<Provision>) =>
      ({
        direction: 'in',
        cloudId: 'west',
        asked: { name: 'shop' },
        createdAt: now - 90 * day,
        expiresAt: now + 2 * day,
        noticedAt: null,
        ...changes,
      }) as Provision;
    const late = { expiresAt: now - day, noticedAt: now - day };
    const projects = [
      project({}),
      project({ direction: 'out' }),
      project(late),
      project({ ...late, direction: 'out' }),
    ];
    const found = attentionOf({ ...quiet, projects });
    expect(found.map(({ kind, partner: of }) => `${kind} ${of}`)).to.deep.equal(projects.map(() => 'project west'));
    expect(found.map(({ message }) => message)).to.deep.equal([
      'The time of project shop, made here for west, ends in 2 d: it is removed then.',
      'The time of our project shop at west ends in 2 d: it is removed then.',
      'The time of project shop, made here for west, ends in 2 d: it is removed then.',
      'The time of our project shop at west is over: it is removed then.',
    ]);
  });

  it('nothing of what is well', () => {
    expect(attentionOf(quiet)).to.deep.equal([]);
    expect(attentionOf({ ...quiet, broker: { ...quiet.broker, running: false, answers: null } })).to.deep.equal([]);
    expect(kinds({ trustTill: now + 31 * day })).to.deep.equal([]);
    expect(kinds({ state: 'pending', approval: 'partner' })).to.deep.equal([]);
    expect(kinds({ state: 'suspended' })).to.deep.equal([]);
    expect(kinds({ state: 'revoked', revokedBy: 'us' })).to.deep.equal([]);
    const lastError = { at: now - 10, code: 1004, name: 'unreachable', message: 'gone' };
    expect(kinds({ lastError, lastContact: now - 5 })).to.deep.equal([]);
  });

  it('what a partner needs', () => {
    const lastError = { at: now, code: 1004, name: 'unreachable', message: 'gone' };
    expect(kinds({ state: 'pending', approval: 'us' })).to.deep.equal(['approval: west waits for approval.']);
    expect(kinds({ trustTill: now - 1 })).to.deep.equal(['expiry: The trust in west has expired.']);
    expect(kinds({ state: 'revoked', revokedBy: 'partner' })).to.deep.equal(['revoked: west revoked us.']);
    expect(kinds({ lastError, lastContact: now - 5 })).to.deep.equal([
      'error: The last try to reach west failed: gone',
    ]);
    const [key] = partner({}).keys;
    expect(kinds({ trustTill: now + 6 * day, keys: [{ ...key!, notAfter: now + 20 * day }] })).to.deep.equal([
      'expiry: The trust in west ends within 7 days (6 d left).',
      'expiry: The certificate of west ends within 30 days (20 d left).',
    ]);
  });

  it('a partner that knows none of our keys has to pair again, whatever else there is', () => {
    const stranded = (changes: Partial<Partner>) =>
      attentionOf({
        ...quiet,
        partners: [partner(changes)],
        knowsUs: ({ acknowledgedSequence }) => acknowledgedSequence > 1,
      });
    expect(stranded({ acknowledgedSequence: 2 })).to.deep.equal([]);
    for (const changes of [{}, { state: 'pending', approval: 'us' }, { trustTill: now + day }] as const) {
      const [first, ...others] = stranded({ acknowledgedSequence: 1, ...changes });
      expect(first).to.include({ kind: 'identity', partner: 'west' });
      expect(first?.message).to.equal('west knows none of our keys that still count.');
      expect(first?.remedy).to.contain('alliance partner remove west').and.contain('--replace-identity');
      expect(others).to.deep.equal([]);
    }
    expect(stranded({ acknowledgedSequence: 1, state: 'revoked', revokedBy: 'us' })).to.deep.equal([]);
  });

  it('what this broker needs', () => {
    const seen = attentionOf({
      ...quiet,
      identity: { notAfter: now + day },
      keystone: { error: { message: 'Keystone cannot be reached.', remedy: 'Look.' } },
      broker: { running: false, died: true, answers: null, ready: false },
    });
    expect(seen.map(({ kind }) => kind)).to.deep.equal(['broker', 'broker', 'keystone', 'expiry']);
    for (const { remedy } of seen) expect(remedy).not.to.equal('');
  });

  it('a broker that hangs, or is missed by active partners', () => {
    const of = (broker: Partial<typeof quiet.broker>, partners: Partner[] = []) =>
      attentionOf({ ...quiet, partners, broker: { ...quiet.broker, ...broker } }).map(({ message }) => message);
    expect(of({ answers: false })).to.deep.equal(['The broker runs, but does not answer on http.listen.']);
    expect(of({ running: false }, [partner({})])).to.deep.equal([
      'The broker does not run here: an active partner cannot call it.',
    ]);
    expect(of({ running: false }, [partner({ state: 'suspended' })])).to.deep.equal([]);
  });
});
