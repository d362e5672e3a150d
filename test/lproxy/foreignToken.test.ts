import { expect } from 'chai';
import fc from 'fast-check';
import { type AllianceError, toAllianceError } from '../../src/core/errors.ts';
import { foreignLimits } from '../../src/core/limits.ts';
import { jsonShape, parseForeignToken } from '../../src/lproxy/foreignToken.ts';
import { parseToken } from '../../src/lproxy/keystoneBodies.ts';

describe('lproxy/foreignToken', () => {
  const token = { expires_at: '2030-01-01T01:00:00Z', user: { id: 'u', name: 'ann' } };
  const refusal = (text: string): AllianceError | undefined => {
    try {
      parseForeignToken(text);
    } catch (thrown) {
      return toAllianceError(thrown);
    }
    return undefined;
  };
  const many = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);
  const long = 'x'.repeat(foreignLimits.bodyTextCharacters + 1);

  it('is read as ours are', () => {
    const text = JSON.stringify({ token: { ...token, roles: [{ id: 'r', name: 'member' }], methods: ['password'] } });
    expect(parseForeignToken(text)).to.deep.equal(parseToken(text));
  });

  it('is refused where it is large, lists much or has long names, whatever it is that it lists', () => {
    const half = foreignLimits.bodyItems / 2;
    const lists = (count: number) => ({
      methods: many(half),
      audit_ids: many(count - half - 2),
      roles: [{ id: 'r', name: 'member' }],
      user: { ...token.user, 'OS-FEDERATION': { groups: [{ id: 'g' }] } },
    });
    expect(refusal(JSON.stringify({ token: { ...token, ...lists(foreignLimits.bodyItems) } }))).to.equal(undefined);
    const bad: [string, object][] = [
      ['more than 1000', lists(foreignLimits.bodyItems + 1)],
      ['bytes', { padding: 'x'.repeat(foreignLimits.bodyBytes) }],
      ...[
        { methods: [long] },
        { audit_ids: [long] },
        { roles: [{ id: 'r', name: long }] },
        { user: { id: 'u', name: long } },
        { user: { id: 'u', name: 'ann', domain: { id: long } } },
        { user: { ...token.user, 'OS-FEDERATION': { groups: [{ id: long }] } } },
        { project: { id: long, name: 'lab' } },
        { domain: { id: long } },
      ].map((changes): [string, object] => ['255 characters', changes]),
      ['not that of a token', { expires_at: 'never' }],
    ];
    for (const [why, changes] of bad) {
      const error = refusal(JSON.stringify({ token: { ...token, ...changes } }));
      expect(error, JSON.stringify(changes).slice(0, 80)).to.include({ errorName: 'wire_malformed' });
      expect(error?.message).to.contain(why);
    }
    for (const text of ['', '{', '[]', 'null', '{"token":1}'])
      expect(refusal(text), text).to.include({ errorName: 'wire_malformed' });
  });

  it('is refused where it holds many values, or many within each other, before they are made', () => {
    const bodyWith = (padding: unknown) => JSON.stringify({ token: { ...token, padding } });
    const deep = (levels: number): unknown => (levels === 0 ? 0 : [deep(levels - 1)]);
    const { bodyNodes, bodyDepth } = foreignLimits;
    const spare = bodyNodes - jsonShape(bodyWith([])).nodes;
    for (const [unit, size] of [
      [0, 1],
      [{}, 2],
      [[], 2],
      [{ '': 0 }, 2],
    ] as const) {
      const list = (count: number) => Array.from({ length: count }, () => unit);
      const most = Math.floor((spare + 1) / size);
      expect(refusal(bodyWith(list(most)))).to.equal(undefined);
      expect(refusal(bodyWith(list(most + 1)))).to.include({ errorName: 'wire_malformed' });
      expect(refusal(bodyWith(list(most + 1)))?.message).to.contain(`${bodyNodes} values`);
    }
    expect(refusal(bodyWith(deep(bodyDepth - 2)))).to.equal(undefined);
    expect(refusal(bodyWith(deep(bodyDepth - 1)))?.message).to.contain('within each other');
    const quoted = '"\\'.concat('[{,'.repeat(bodyNodes), '"');
    expect(refusal(bodyWith(quoted)), 'in a text they are no values').to.equal(undefined);
  });

  it('counts at least the values there are', () => {
    const countOf = (value: unknown): number =>
      typeof value === 'object' && value !== null
        ? Object.values(value).reduce<number>((sum, each) => sum + countOf(each), 1)
        : 1;
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonShape(JSON.stringify(value)).nodes).to.be.at.least(countOf(value));
      }),
    );
  });
});
