import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { isIssuedForm, qualify, readQualified } from '../../../src/token/routing/qualified.ts';
import { rejection } from '../../support/errors.ts';
import { jwsToken, newTokenKey } from '../../support/tokenKeys.ts';

const alphabet = [...'ABCabc019._=-'];
const token = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 60 });
const cloudId = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/).map((text) => `c${text}` as CloudId);

describe('token/routing/qualified', () => {
  it('splits at the first two dots, and gives back what was qualified', () => {
    fc.assert(
      fc.property(token, cloudId, (text, id) => {
        fc.pre(isIssuedForm(text));
        expect(readQualified(qualify(text, id))).to.deep.equal({ cloudId: id, token: text });
      }),
    );
    expect(readQualified('a1.east.eyJ9.eyJ9.AA')).to.deep.equal({ cloudId: 'east', token: 'eyJ9.eyJ9.AA' });
  });

  it('whatever begins with a1. is qualified or malformed, and nothing that it yields is qualified again', () => {
    fc.assert(
      fc.property(fc.oneof(token, fc.string()), (rest) => {
        const read = readQualified(`a1.${rest}`);
        expect(read).not.to.equal(undefined);
        if (read !== 'malformed') expect(isIssuedForm(read!.token)).to.equal(true);
      }),
    );
    fc.assert(fc.property(token, (text) => readQualified(`b${text}`) === undefined));
  });

  const malformed = [
    'a1.',
    'a1.east',
    'a1.east.',
    'a1..token',
    'a1.EAST.token',
    'a1.local.token',
    'a1.east.to ken',
    'a1.east.to/ken',
    'a1.east.token\n',
    'a1.east.a1.west.token',
    `a1.east.${'x'.repeat(8193)}`,
  ];
  for (const text of malformed)
    it(`refuses ${text.slice(0, 30)}`, () => expect(readQualified(text)).to.equal('malformed'));

  /** As Keystone issues them: of each length that leaves other bits over, without the padding. */
  const fernets = [
    'gAAAAABw29iAuO6exgfwrbIIObYtq3oqIPVrFg_Uij_o17IhqM8Qq2NCvgxRqO3s0idNr5-G-PoYmH3g4eqO4HTulAkSkPgPl-jFjUrSXvUdTmOmqbpHZRvdErlGRVERPXKbBGi5_AIEO4_jIkZotYdxpBd8AK79rK97lBGMhjK6DYOAkofbvuOpXAt4VdT7QvcL7mUUhvl4',
    'gAAAAABw29iAvri5OeBLXOCwZQTat0Fo0IYBD8hPX-LpCC2x8QyJ_w0IVoCUoFHUOvgSxpnQeyvD2DwszDttktJIaSrAznkSH08fz7wvb5CzV5oVbtSBDXWD3oe1c-3TnDYmsPVYVZ202dQEN91J-Rk1ut20kZG6sWf0Wg12PiEEHjSTZH90Kn1varQYVk1uIzIEpw3O2uM5D8OWyvVKZsyALfLhze6G1w',
    'gAAAAABw29iAwrB903x-tchoZUjLbTxT8skadm0xggdqLsV21yQf7CYIW5BrCyiAkOOmMUKBzU9LfD-ILdE530KJNCR5PiyzbstC4AVlIC3jfXlcF1r14lhX1x1OGfLucvZh9wshDcLbZzkwQDn3x6b40pr4peg9QxfXce6w3WObH3M2hrAVypAPJ1THib0jX5scD4Qb6v6eXs_2YlsIYI1OFqZjyl-5TQSVX2tJCJx14dx59m5Pycw',
  ];
  const signed = (['ES256', 'ES384', 'ES512', 'EdDSA'] as const).map((algorithm) => jwsToken(newTokenKey(algorithm)));
  /** What Python's base64 reads alike. */
  const spellings = (text: string): string[] => {
    const [last, rest] = [text.at(-1)!, text.slice(0, -1)];
    const bytesOf = (whole: string) => Buffer.from(whole.split('.').at(-1)!, 'base64url');
    const equal = [...base64url].filter((each) => bytesOf(rest + each).equals(bytesOf(text)) && each !== last);
    return [
      ...equal.map((each) => rest + each),
      ...['=', '==', '====', '=.AAA', '.', '....'].map((end) => text + end),
      `....${text}`,
      `${text.slice(0, 10)}....${text.slice(10)}`,
      `${text.slice(0, 10)}=${text.slice(10)}`,
    ];
  };
  const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

  it('takes what Keystones issue', () => {
    expect(fernets.map((text) => text.length % 4)).to.have.members([0, 2, 3]);
    const uuid = '3f2504e04f8941d39a0c0305e82c3301';
    for (const text of [...fernets, ...signed, uuid])
      expect(readQualified(`a1.east.${text}`)).to.deep.equal({ cloudId: 'east', token: text });
  });

  it('takes a token of Fernet in one spelling, of all that Keystone takes', () => {
    // Python skips dots, so that two of them make three parts of one token.
    const dotted = (text: string) =>
      [...text].flatMap((_, at) =>
        [1, 2, 3, 4, 5, 6].map(
          (first) => `${text.slice(0, first)}.${text.slice(first, at)}.${text.slice(Math.max(first, at))}`,
        ),
      );
    for (const text of fernets)
      for (const other of [...spellings(text), ...dotted(text)])
        expect([other, isIssuedForm(other)]).to.deep.equal([other, false]);
    expect(spellings(fernets[2]!)).to.have.length.above(9);
  });

  it('takes a signed token in one spelling of its signature', () => {
    for (const text of signed)
      for (const other of spellings(text)) expect([other, isIssuedForm(other)]).to.deep.equal([other, false]);
  });

  it('what is canonical is what an encoder writes', () => {
    const text = fc.string({ unit: fc.constantFrom(...base64url), maxLength: 9 }).map((rest) => `gAAAAA${rest}`);
    fc.assert(
      fc.property(text, (each) => {
        expect(isIssuedForm(each)).to.equal(Buffer.from(each, 'base64url').toString('base64url') === each);
      }),
    );
  });

  it('takes the longest token, and refuses to qualify what is none', async () => {
    expect(readQualified(`a1.east.${'x'.repeat(8192)}`)).to.have.property('cloudId', 'east');
    for (const text of ['', 'a b', 'a1.east.x', 'x'.repeat(8193)])
      await rejection(
        Promise.resolve().then(() => qualify(text, 'east' as CloudId)),
        'token_form_refused',
      );
  });
});
