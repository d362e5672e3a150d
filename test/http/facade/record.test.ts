import { expect } from 'chai';
import { type AllianceError, toAllianceError } from '../../../src/core/errors.ts';
import { parseCloudId } from '../../../src/core/ids.ts';
import { auditLimits } from '../../../src/core/limits.ts';
import { createLogger } from '../../../src/core/log.ts';
import { record, subjectOf, trimmed } from '../../../src/http/facade/record.ts';
import { ShareUsedUp } from '../../../src/http/facade/validations.ts';
import { checkEntry } from '../../../src/model/auditChain.ts';
import type { ForeignVerdict } from '../../../src/token/foreign.ts';
import { validVerdict } from '../../support/facade.ts';

describe('facade: no record, no answer', () => {
  const entry = {
    kind: 'validation',
    actor: 'user:glance',
    partner: parseCloudId('east'),
    subject: 'u',
    outcome: 'valid',
    rule: '1',
    requestId: 'req-1',
    details: {},
  } as const;
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } });
  const attempt = async (thrown: Error): Promise<AllianceError | undefined> => {
    lines.length = 0;
    const fail = () => Promise.reject(thrown);
    const facade = { audit: { append: fail, note: fail }, validations: { record: fail }, log };
    return record(facade, entry, 'kind').then(() => undefined, toAllianceError);
  };

  it('says that it is overloaded whatever is wrong with the audit, and logs what it is', async () => {
    expect(await attempt(new Error('disk full'))).to.include({ errorName: 'overloaded' });
    expect(lines.join('')).to.contain('disk full');
  });

  it('says when to come again where a partner has used up its share, and lets it not flood the log either', async () => {
    const error = await attempt(new ShareUsedUp(entry.partner, 4711));
    expect(error).to.include({ errorName: 'overloaded', retryAfterMs: 4711 });
    expect(lines).to.deep.equal([]);
  });
});

describe('facade: whom the audit keeps', () => {
  const roles = (count: number, length = 250) => Array.from({ length: count }, (_, n) => `${n}`.padStart(length, 'x'));
  const valid = (more: object) => validVerdict('live', more) as Extract<ForeignVerdict, { kind: 'valid' }>;
  const subject = valid({});

  it('keeps users of ordinary size whole', () => {
    const { subject: whole } = subjectOf(valid({ roles: roles(100, 30).map((name) => ({ id: name, name })) }));
    expect(whole.roles).to.have.length(100);
    expect(whole).to.have.all.keys('user', 'project', 'roles', 'groups');
  });

  it('cuts lists that are long, tells how long they were, and by a hash which', () => {
    const long = { ...subjectOf(subject).subject, roles: roles(500), groups: roles(490) };
    const cut = trimmed(long);
    expect(Buffer.byteLength(JSON.stringify(cut))).to.be.at.most(2 * auditLimits.subjectListBytes + 1024);
    expect(cut.roles).to.deep.equal(long.roles.slice(0, cut.roles.length)).and.to.have.length.above(10);
    expect(cut.cut).to.include({ roles: 500, groups: 490 });
    expect(trimmed({ ...long, roles: [...roles(499), 'other'] }).cut?.sha256).not.to.equal(cut.cut?.sha256);
  });

  it('has no user that the audit would refuse, whatever its issuer makes up', () => {
    const worst = '\u0001'.repeat(255);
    const owner = { id: worst, name: worst, domain: { id: worst, name: worst } };
    const groups = roles(495).map(() => ({ id: worst }));
    const verdict = valid({
      user: { ...owner, 'OS-FEDERATION': { groups } },
      project: owner,
      roles: roles(495).map(() => ({ id: 'r', name: worst })),
    });
    const { subject: kept } = subjectOf(verdict);
    const words = { kind: 'validation', actor: 'user:x', partner: null, subject: worst, outcome: 'valid' } as const;
    const details = checkEntry({ ...words, rule: '1', requestId: null, details: { ...kept } }, 1).details;
    expect(Buffer.byteLength(details)).to.be.lessThan(auditLimits.detailsBytes / 2);
  });

  it('tells subjects apart by all there is of them', () => {
    const hashOf = (more: object) => subjectOf(valid(more)).hash;
    expect(hashOf({})).to.equal(hashOf({ audit_ids: ['other'] }));
    const names = roles(900, 20);
    const given = (list: readonly string[]) => ({ roles: list.map((name) => ({ id: 'r', name })) });
    expect(hashOf(given(names))).not.to.equal(hashOf(given([...names.slice(0, -1), 'other'])));
  });
});
