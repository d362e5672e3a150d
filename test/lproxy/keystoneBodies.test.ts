import { expect } from 'chai';
import { type AllianceError, toAllianceError } from '../../src/core/errors.ts';
import { foreignLimits } from '../../src/core/limits.ts';
import { parseForeignToken, parseToken } from '../../src/lproxy/keystoneBodies.ts';

const expiryOf = (text: string): number =>
  parseToken(JSON.stringify({ token: { expires_at: text, user: { id: 'u', name: 'ann' } } })).expiresAt;

describe('lproxy/keystoneBodies', () => {
  const { TZ: zone } = process.env;
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  describe('of another cloud', () => {
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
  });

  it('reads times as UTC wherever this machine is, also without a zone, as Keystone has them with application credentials', () => {
    for (const local of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
      process.env.TZ = local;
      for (const text of ['2030-01-01T01:00:00.500000Z', '2030-01-01T01:00:00.500000', '2030-01-01T03:00:00.500+02:00'])
        expect(expiryOf(text), `${text} in ${local}`).to.equal(Date.UTC(2030, 0, 1, 1, 0, 0, 500));
    }
  });
});
