import { expect } from 'chai';
import fc from 'fast-check';
import { z } from 'zod';
import { bytesField, encodePayload, parsePayload, timeField } from '../../src/channel/fields.ts';

const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

describe('members of payloads', () => {
  it('bytes have one length', () => {
    const field = bytesField(16);
    expect(field.parse(Buffer.alloc(16, 1).toString('base64url'))).to.deep.equal(Buffer.alloc(16, 1));
    for (const size of [0, 15, 17]) expect(accepts(field, Buffer.alloc(size).toString('base64url'))).to.equal(false);
    for (const other of [null, undefined, 7, {}, Buffer.alloc(16)]) expect(accepts(field, other)).to.equal(false);
  });

  it('bytes have a length within bounds', () => {
    const field = bytesField(2, 4);
    const sizes = [1, 2, 3, 4, 5].filter((size) => accepts(field, Buffer.alloc(size).toString('base64url')));
    expect(sizes).to.deep.equal([2, 3, 4]);
  });

  it('bytes have one spelling', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 24 }), (text) => {
        const parsed = bytesField(1, 100).safeParse(text);
        if (parsed.success) expect(parsed.data.toString('base64url')).to.equal(text);
      }),
    );
    // Sixteen bytes leave four unused bits in the last character.
    expect(accepts(bytesField(16), `${'A'.repeat(21)}B`)).to.equal(false);
    expect(accepts(bytesField(16), `${'A'.repeat(22)}==`)).to.equal(false);
    expect(accepts(bytesField(16), `${'A'.repeat(10)} ${'A'.repeat(12)}`)).to.equal(false);
  });

  it('times are whole and not negative', () => {
    for (const good of [0, 1, Number.MAX_SAFE_INTEGER]) expect(accepts(timeField, good)).to.equal(true);
    for (const bad of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', null])
      expect(accepts(timeField, bad)).to.equal(false);
  });

  it('what is encoded is parsed to the same', () => {
    const schema = z.strictObject({
      a: bytesField(1, 100),
      b: timeField,
      c: z.strictObject({ d: bytesField(0, 100) }),
    });
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 }).map((raw) => Buffer.from(raw));
    fc.assert(
      fc.property(bytes, fc.maxSafeNat(), bytes, (a, b, d) => {
        expect(parsePayload(schema, encodePayload({ a, b, c: { d } }))).to.deep.equal({ a, b, c: { d } });
      }),
    );
  });

  it('the order of members is the order of writing', () => {
    expect(encodePayload({ b: 1, a: Buffer.from([255]) }).toString()).to.equal('{"b":1,"a":"_w"}');
  });

  it('what does not fit is undefined, whatever it is', () => {
    const schema = z.strictObject({ a: timeField });
    expect(parsePayload(schema, Buffer.from('{"a":1}'))).to.deep.equal({ a: 1 });
    for (const text of ['', '{', '{"a":null}', '{"a":1,"b":2}', '[1]', 'null'])
      expect(parsePayload(schema, Buffer.from(text))).to.equal(undefined);
  });
});
