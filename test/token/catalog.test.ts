import { expect } from 'chai';
import type { RemoteEndpoint } from '../../src/rproxy/endpoints.ts';
import { fillUrl, injectEndpoints, localCatalog } from '../../src/token/catalog.ts';

const values = { projectId: 'p1', userId: 'u1' };

const endpoint = (changes: Partial<RemoteEndpoint> = {}): RemoteEndpoint => ({
  id: 'e1',
  serviceId: 's1',
  serviceType: 'image',
  serviceName: 'glance',
  interface: 'public',
  region: 'RegionOne',
  url: 'https://image.east.example/v2',
  ...changes,
});

const own = localCatalog(
  {
    services: [
      { id: 's-image', type: 'image', name: 'glance', description: null },
      { id: 's-identity', type: 'identity', name: 'keystone', description: null },
    ],
    endpoints: [
      { id: 'e-image', serviceId: 's-image', interface: 'public', region: 'west', url: 'http://west/$(project_id)s' },
    ],
  },
  values,
);

const inject = (endpoints: readonly RemoteEndpoint[], more: object = {}) =>
  injectEndpoints(own, {
    regions: [{ region: 'RegionOne', as: 'east' }],
    hosts: ['image.east.example'],
    endpoints,
    values: { projectId: 'p-east', userId: 'u-east' },
    idOf: (kind, id) => `${kind}-of-${id}`,
    ...more,
  });

describe('token/catalog', () => {
  it('fills in URLs in both styles, and leaves out those that it cannot fill in', () => {
    for (const text of ['$(project_id)s', '%(project_id)s', '$(tenant_id)s', '%(tenant_id)s'])
      expect(fillUrl(`http://x/v1/AUTH_${text}/`, values)).to.equal('http://x/v1/AUTH_p1/');
    expect(fillUrl('http://x/%(user_id)s', values)).to.equal('http://x/u1');
    expect(fillUrl('http://x/$(project_id)s', { ...values, projectId: null })).to.equal(null);
    expect(fillUrl('http://x/$(password)s', values)).to.equal(null);
    expect(fillUrl('http://x/$(project_id)s', { ...values, projectId: '../admin' })).to.equal(null);
    expect(own[0]!.endpoints[0]).to.deep.equal({
      id: 'e-image',
      interface: 'public',
      region_id: 'west',
      url: 'http://west/p1',
      region: 'west',
    });
  });

  it("adds a partner's endpoints to the service of that type, or as one of its own, under names of ours", () => {
    const shown = inject([
      endpoint({ url: 'https://image.east.example/v2/$(project_id)s' }),
      endpoint({ id: 'e2', serviceType: 'object-store' }),
    ]);
    const added = { id: 'endpoint-of-e1', interface: 'public', region_id: 'east', region: 'east' };
    expect(shown[0]!.endpoints[1]).to.deep.equal({ ...added, url: 'https://image.east.example/v2/p-east' });
    expect(shown[1]).to.deep.equal(own[1]);
    expect(shown[2]).to.deep.include({ id: 'service-of-object-store', type: 'object-store', name: 'object-store' });
  });

  const refused: readonly (readonly [what: string, changes: Partial<RemoteEndpoint>, more?: object])[] = [
    ['identity', { serviceType: 'identity' }],
    ['identity under another version', { serviceType: 'identityv3' }],
    ['identity in other letters', { serviceType: 'Identity' }],
    ['a strange type', { serviceType: 'image\n' }],
    ['plain HTTP', { url: 'http://image.east.example/' }],
    ['another host', { url: 'https://image.east.example.evil.example/' }],
    ['a host as a user name', { url: 'https://image.east.example@evil.example/' }],
    ['a host behind a backslash', { url: 'https://evil.example\\@image.east.example/' }],
    ['credentials', { url: 'https://u:p@image.east.example/' }],
    ['a fragment', { url: 'https://image.east.example/#x' }],
    ['another region', { region: 'RegionTwo' }],
    ['no region', { region: null }],
    ['another interface', { interface: 'secret' }],
    ['a region of this cloud', {}, { regions: [{ region: 'RegionOne', as: 'west' }] }],
    ['a host that the template brings', { url: 'https://$(project_id)s.evil.example/' }],
    [
      'a project that is no id',
      { url: 'https://image.east.example/$(project_id)s' },
      { values: { projectId: '../x', userId: 'u' } },
    ],
    ['a port that is not listed', { url: 'https://image.east.example:9292/' }, { hosts: ['image.east.example:9291'] }],
  ];
  for (const [what, changes, more] of refused)
    it(`shows nothing of a partner with ${what}`, () => expect(inject([endpoint(changes)], more)).to.deep.equal(own));

  it('takes a host with any port, or one port alone', () => {
    const url = 'https://image.east.example:9292/';
    for (const hosts of [['image.east.example'], ['IMAGE.east.example:9292']])
      expect(inject([endpoint({ url })], { hosts })[0]!.endpoints).to.have.length(2);
  });
});
