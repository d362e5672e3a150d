/** Just enough DER to write certificates that our own code would never make. */
export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

export const sequence = (...parts: Uint8Array[]): Buffer => tlv(0x30, ...parts);

export const oid = (hexBody: string): Buffer => tlv(0x06, Buffer.from(hexBody, 'hex'));

export function generalizedTime(ms: number): Buffer {
  return tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+Z$/g, '')}Z`));
}

export function utcTime(ms: number): Buffer {
  return tlv(0x17, generalizedTime(ms).subarray(4));
}
