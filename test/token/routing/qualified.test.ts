import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { isIssuedForm, qualify, readQualified } from '../../../src/token/routing/qualified.ts';
import { rejection } from '../../support/errors.ts';

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
    expect(readQualified('a1.east.x.y.z')).to.deep.equal({ cloudId: 'east', token: 'x.y.z' });
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

  it('takes the longest token, and refuses to qualify what is none', async () => {
    expect(readQualified(`a1.east.${'x'.repeat(8192)}`)).to.have.property('cloudId', 'east');
    for (const text of ['', 'a b', 'a1.east.x', 'x'.repeat(8193)])
      await rejection(
        Promise.resolve().then(() => qualify(text, 'east' as CloudId)),
        'token_form_refused',
      );
  });
});
