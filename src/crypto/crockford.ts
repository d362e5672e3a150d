/** Verification codes: 40 bits in Crockford's base32, which has no I, L, O and U, so that it survives being read out aloud. */
import { AllianceError } from '../core/errors.ts';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const codeForm = /^[0-9A-HJKMNP-TV-Z]{8}$/;

/** The first 40 bits as `XXXX-XXXX`. */
export function verificationCode(bytes: Uint8Array): string {
  if (bytes.length < 5) throw new RangeError('A verification code is made of 5 bytes.');
  const bits = Buffer.from(bytes.buffer, bytes.byteOffset, 5).readUIntBE(0, 5);
  let code = '';
  for (let shift = 7; shift >= 0; shift--) code += alphabet[Math.floor(bits / 32 ** shift) % 32];
  return withDash(code);
}

/** A code as someone typed it, in any case, with or without dash and spaces, O for 0 and I or L for 1: as `XXXX-XXXX`. */
export function parseVerificationCode(text: string): string {
  const code = text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  if (!codeForm.test(code))
    throw new AllianceError('bad_request', { field: 'code', details: 'A verification code has the form XXXX-XXXX.' });
  return withDash(code);
}

const withDash = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`;
