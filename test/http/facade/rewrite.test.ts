import { expect } from 'chai';
import fc from 'fast-check';
import { rewriteCatalog, rewriteVersions, rewriteVersionUrl } from '../../../src/http/facade/rewrite.ts';

const root = 'https://facade.example:5000';

describe('facade: URLs in answers', () => {
  it('of versions become the facade’s, whatever stands before them', () => {
    for (const [url, expected] of [
      ['http://10.0.0.1:5000/v3/', `${root}/v3/`],
      ['https://cloud.example/identity/v3', `${root}/v3`],
      ['/identity/v3/', `${root}/v3/`],
      ['https://cloud.example/v2.0/', `${root}/v2.0/`],
      ['https://docs.example/', 'https://docs.example/'],
    ])
      expect(rewriteVersionUrl(url!, root)).to.equal(expected);
  });

  it('of versions change nothing but links to itself', () => {
    const links = [
      { rel: 'self', href: 'http://k/v3/' },
      { rel: 'describedby', href: 'http://docs/v3/' },
    ];
    const body = (self: string) => ({
      versions: { values: [{ id: 'v3.14', links: [{ ...links[0], href: self }, links[1]] }] },
    });
    expect(JSON.parse(rewriteVersions(JSON.stringify(body('http://k/v3/')), root))).to.deep.equal(body(`${root}/v3/`));
  });

  it('of the catalog change for the service identity only, in all interfaces', () => {
    const endpoints = ['public', 'internal', 'admin'].map((each) => ({ interface: each, url: 'http://k/v3' }));
    const catalog = [
      { type: 'identity', endpoints },
      { type: 'image', endpoints: [{ interface: 'public', url: 'http://glance' }] },
    ];
    const { token } = JSON.parse(rewriteCatalog(JSON.stringify({ token: { catalog } }), root));
    expect(token.catalog[0].endpoints.map(({ url }: { url: string }) => url)).to.deep.equal(
      Array(3).fill(`${root}/v3`),
    );
    expect(token.catalog[1]).to.deep.equal(catalog[1]);
  });

  it('leave every other text as it is, byte for byte', () => {
    const kept = (text: string) => {
      expect(rewriteCatalog(text, root)).to.equal(text);
      expect(rewriteVersions(text, root)).to.equal(text);
    };
    for (const text of ['', 'no JSON', '[]', 'null', '{"token": {"catalog": 5}}', '{ "resources": {} }']) kept(text);
    fc.assert(fc.property(fc.json(), kept));
  });
});
