/** How records become bytes, pinned by vectors that docs/audit.md shows. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import type { AuditEntry } from '../../src/model/audit.ts';
import { canonicalJson, checkEntry, hashRow } from '../../src/model/auditChain.ts';
import { refusal } from '../support/errors.ts';
import { projectPath } from '../support/project.ts';

type Vector = AuditEntry & { seq: number; at: number; request_id: string | null; previous: string; hash: string };

const vectors = JSON.parse(readFileSync(projectPath('test', 'vectors', 'audit.json'), 'utf8')) as Vector[];

describe('audit records', () => {
  it('hash as the vectors say, which the manual shows', () => {
    const manual = readFileSync(projectPath('docs', 'audit.md'), 'utf8');
    for (const { seq, at, previous, hash, request_id: requestId, ...vector } of vectors) {
      const { kind, actor, partner, subject, outcome, rule, details } = vector;
      const entry = { kind, actor, partner, subject, outcome, rule, requestId, details };
      const row = { ...checkEntry(entry, at), seq, previous: Buffer.from(previous, 'hex') };
      expect(hashRow(row).toString('hex')).to.equal(hash);
      expect(manual).to.contain(hash);
    }
    expect(manual).to.contain(canonicalJson({ ...vectors[0], previous: undefined, hash: undefined }));
  });

  it('are JSON in one spelling only, whatever the order of members', () => {
    const json = fc
      .jsonValue({ depthSize: 'small' })
      .filter((value) => !/\d[.e]|-0|\d{16}/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).to.deep.equal(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(JSON.parse(text)))).to.equal(text);
      }),
    );
  });

  it('have whole numbers and well-formed text', () => {
    for (const wrong of [0.5, Number.NaN, 2 ** 53, undefined, 1n, () => 1])
      refusal(() => canonicalJson([wrong]), 'bad_request');
    expect(canonicalJson('\ud800')).to.equal('"\ufffd"');
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
