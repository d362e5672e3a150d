/** Listings as CSV of Python, with dictionaries in it. */
import { expect } from 'chai';
import fc from 'fast-check';
import { formatListing, readListing } from '../../../src/sync/images/csv.ts';
import { formatDictionary, parseDictionary } from '../../../src/sync/images/python.ts';
import { comparable, imageWith } from '../../support/images.ts';

describe('sync/images/csv', () => {
  it('reads what the original writes', () => {
    const text = [
      'Burgos,image01,101,active,1000,ch1,tenant1id,True,{}',
      '',
      `Burgos,"a, ""b""",102,queued,0,,,False,"{u'k' : u'caf\\xe9', 'n':1 , ""q"": ""it's"", 'b': True, 'z': None}"`,
      '',
    ];
    for (const end of ['\n', '\r\n']) {
      const [first, second, more] = readListing(text.join(end));
      expect(first).to.deep.equal(
        imageWith('image01', { id: '101', sizeBytes: 1000, checksum: 'ch1', owner: 'tenant1id' }),
      );
      expect(second).to.include({ name: 'a, "b"', status: 'queued', isPublic: false, checksum: null, owner: '' });
      expect([...second!.properties]).to.deep.equal([
        ['k', 'café'],
        ['n', 1],
        ['q', "it's"],
        ['b', true],
        ['z', null],
      ]);
      expect(more).to.equal(undefined);
    }
    expect(readListing('')).to.deep.equal([]);
  });

  it('refuses two images of one id, of which a sync would lose one', () => {
    const row = 'B,a,1,active,1,c,t,True,{}\r\n';
    expect(() => readListing(row + row))
      .to.throw()
      .with.property('details', 'Line 2: an image before it has the same id.');
  });

  it('reads long cells', () => {
    const name = 'a'.repeat(20_000_000);
    expect(readListing(`B,"${name}",1,active,1,c,t,True,{}`)[0]!.name.length).to.equal(name.length);
  });

  it('reads cells that are nothing but quotes', () => {
    const quotes = 5_000_000;
    expect(readListing(`B,"${'""'.repeat(quotes)}",1,active,1,c,t,True,{}`)[0]!.name.length).to.equal(quotes);
    for (const [text, details] of [
      ['B,"a', 'Line 1: a quote is not closed.'],
      ['\nB,"a"b', 'Line 2: a quote does not belong here.'],
      ['"x\ny"\nB,a"b', 'Line 3: a quote does not belong here.'],
      ['"x\ny"', 'Line 1: there are 1 columns instead of 9.'],
      ['\r\n\rB,a"b', 'Line 3: a quote does not belong here.'],
    ] as const)
      expect(() => readListing(text))
        .to.throw()
        .with.property('details', details);
  });

  it('writes as the original does', () => {
    const one = imageWith('a', { properties: new Map([['k', 'v']]) });
    const two = imageWith('b', {
      checksum: null,
      properties: new Map<string, string | number>([
        ['k', 'ü'],
        ['n', 1],
      ]),
    });
    expect(formatListing('other:Madrid', [one, two])).to.equal(
      `other:Madrid,a,id-a,active,100,c1,tid,True,{'k': 'v'}\r\nother:Madrid,b,id-b,active,100,,tid,True,"{'k': u'\\xfc', 'n': 1}"\r\n`,
    );
  });

  it('reads what it writes, whatever is in it', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 });
    const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
    const image = fc.record({
      name: text,
      id: text,
      status: text,
      owner: text,
      entries: fc.array(fc.tuple(text, value)),
    });
    fc.assert(
      fc.property(fc.uniqueArray(image, { maxLength: 4, selector: ({ id }) => id }), (images) => {
        const listing = images.map(({ entries, ...rest }) => ({
          ...imageWith('x', rest),
          properties: new Map(entries),
        }));
        expect(comparable(readListing(formatListing('R', listing)))).to.deep.equal(comparable(listing));
      }),
    );
  });

  const wrong: readonly (readonly [text: string, says: RegExp])[] = [
    ['a,b\n', /^Line 1: there are 2 columns/],
    ['\nR,n,i,active,many,c,o,True,{}\n', /^Line 2: the size/],
    ['R,n,i,active,1,c,o,True,"{}\n', /^Line 1: a quote/],
    ["R,n,i,active,1,c,o,True,{'a': f()}\n", /^Line 1: the properties: Column 2/],
    ['R,n,i,active,1,c,o,True,[]\n', /^Line 1: the properties: Column 1/],
  ];
  for (const [text, says] of wrong)
    it(`refuses ${JSON.stringify(text)}`, () =>
      expect(() => readListing(text)).to.throw(new RegExp(says.source.slice(1))));

  it('takes no key for the prototype of anything', () => {
    const found = parseDictionary("{'__proto__': 'x', 'a': 1, 'a': 2}");
    expect([...found]).to.deep.equal([
      ['__proto__', 'x'],
      ['a', 2],
    ]);
    expect(formatDictionary(found)).to.equal("{'__proto__': 'x', 'a': 2}");
  });

  for (const text of ['{**x}', "{'a'}", "{'a': x}", '{1: 2}', "{'a': 1 for a in b}"])
    it(`refuses ${text}`, () => expect(() => parseDictionary(text)).to.throw(/Column/));
});
