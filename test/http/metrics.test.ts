import { expect } from 'chai';
import type { TrustView } from '../../src/client/trustView.ts';
import type { PartnerUid } from '../../src/core/ids.ts';
import { createMetrics, type Metrics } from '../../src/http/metrics.ts';
import { RevocationMarks } from '../../src/token/revocation/marks.ts';

describe('metrics', () => {
  let metrics: Metrics;
  let now: number;
  let marks: RevocationMarks;
  let providers: readonly string[];
  const uidOf = (name: string) => `uid-of-${name}` as PartnerUid;
  const follow = (name: string) => marks.confirm(uidOf(name), now);
  /** Seconds by partner, as a scrape has them now. */
  const unconfirmed = async (): Promise<Record<string, number>> => {
    const found = (await metrics.text()).matchAll(
      /^alliance_revocations_unconfirmed_seconds\{partner="(\w+)"\} (.*)$/gm,
    );
    return Object.fromEntries([...found].map(([, partner, value]) => [partner, Number(value)]));
  };

  beforeEach(() => {
    metrics = createMetrics();
    now = Date.UTC(2030, 0, 1);
    const clock = { now: () => now, monotonic: () => now };
    marks = new RevocationMarks(clock);
    providers = ['east', 'north'];
    const view = {
      current: { identity: { notAfter: now } },
      lost: false,
      partners: ['east', 'north'].map((name) => ({ uid: uidOf(name), cloudId: name, trustTill: null })),
      stateOf: () => 'active',
      isProvider: (uid: PartnerUid) => providers.some((name) => uidOf(name) === uid),
    } as unknown as TrustView;
    metrics.observe({ view, clock, confirmedAt: (uid) => marks.confirmedAt(uid), databaseBytes: () => 4711 });
  });

  it('say since when the revocations of a provider are not known', async () => {
    follow('east');
    expect(await unconfirmed()).to.deep.equal({ east: 0, north: 0 });
    now += 90_500;
    expect(await unconfirmed()).to.deep.equal({ east: 90.5, north: 90.5 });
    follow('north');
    marks.dropAll(uidOf('east'));
    now += 1000;
    expect(await unconfirmed(), 'also after a gap').to.deep.equal({ east: 91.5, north: 1 });
  });

  it('say how large the database is', async () => {
    expect(await metrics.text()).to.match(/^alliance_database_bytes 4711$/m);
  });

  it('say nothing of it for partners that nobody follows, and begin anew with those that come back', async () => {
    providers = ['east'];
    expect(await unconfirmed()).to.deep.equal({ east: 0 });
    now += 90_000;
    providers = [];
    expect(await unconfirmed()).to.deep.equal({});
    now += 90_000;
    providers = ['east'];
    expect(await unconfirmed()).to.deep.equal({ east: 0 });
  });
});
