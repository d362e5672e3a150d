import { expect } from 'chai';
import { configSchema, partnerDefaults } from '../../src/core/configSchema.ts';

describe('configSchema', () => {
  const accepts = (settings: object): boolean => configSchema.safeParse({ cloud_id: 'east', ...settings }).success;

  const accepted: object[] = [
    { listen: { tls: 'off' } },
    { listen: { tcp: '0.0.0.0:9441' } },
    { http: { listen: '[::1]:0' } },
    { keystone: { auth_url: 'http://127.0.0.1:5000/v3' } },
    { database: { url: 'sqlite:data/alliance.db' } },
    { limits: { unauthenticated_per_s: 0 } },
    { advertise: Array.from({ length: 8 }, (_, i) => `tls://east-${i}:9443`) },
    { partners: { west: { images: { write: true, project: 'p', quota_gib: 1, quota_images: 1 } } } },
  ];
  for (const settings of accepted)
    it(`accepts ${JSON.stringify(settings).slice(0, 60)}`, () => expect(accepts(settings)).to.equal(true));

  const refused: object[] = [
    { listen: { tls: '9443' } },
    { listen: { tls: false } },
    { http: { listen: ':9480' } },
    { keystone: { auth_url: 'keystone:5000' } },
    { keystone: { auth_url: 'ftp://keystone/' } },
    { keystone: { auth_url: 'https://user@keystone/' } },
    { keystone: { interface: 'private' } },
    { keystone: { password: '' } },
    { database: { url: 'sqlite:' } },
    { database: { url: 'sqlite:a?mode=memory' } },
    { limits: { unauthenticated_burst: 0 } },
    { limits: { pings_per_s: -1 } },
    { limits: { pings_per_s: Number.NaN } },
    { advertise: Array.from({ length: 9 }, (_, i) => `tls://east-${i}:9443`) },
    { exports: { interfaces: ['all'] } },
    { dial: { allow: ['10.0.0.0/40'] } },
    { partners: { west: { authenticate: 'true' } } },
    { partners: { west: { provision: { roles: Array.from({ length: 17 }, (_, i) => `role-${i}`) } } } },
    { partners: { west: { images: { write: true, quota_gib: 1, quota_images: 1 } } } },
    { partners: { west: { images: { write: true, project: 'p', quota_images: 1 } } } },
    { partners: { west: { images: { write: true, project: 'p', quota_gib: 1 } } } },
    { partners: { west: { images: { write_visibility: 'public' } } } },
    { partners: [] },
    { unknown: 1 },
  ];
  for (const settings of refused)
    it(`refuses ${JSON.stringify(settings).slice(0, 60)}`, () => expect(accepts(settings)).to.equal(false));

  it('lets no partner log users in unless told to', () => {
    expect(partnerDefaults).to.include({ authenticate: false, continuity: 'optional' });
  });
});
