import { expect } from 'chai';
import { parseToken } from '../../src/lproxy/keystoneBodies.ts';

const expiryOf = (text: string): number =>
  parseToken(JSON.stringify({ token: { expires_at: text, user: { id: 'u', name: 'ann' } } })).expiresAt;

describe('lproxy/keystoneBodies', () => {
  const { TZ: zone } = process.env;
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  it('reads times as UTC wherever this machine is, also without a zone, as Keystone has them with application credentials', () => {
    for (const local of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
      process.env.TZ = local;
      for (const text of ['2030-01-01T01:00:00.500000Z', '2030-01-01T01:00:00.500000', '2030-01-01T03:00:00.500+02:00'])
        expect(expiryOf(text), `${text} in ${local}`).to.equal(Date.UTC(2030, 0, 1, 1, 0, 0, 500));
    }
  });
});
