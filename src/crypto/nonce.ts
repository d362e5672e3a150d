/** iv XOR (4 zero bytes || u64 counter), as TLS 1.3 does (RFC 8446, 5.3), into `nonce`; all counters up to 2^53 are exact. */
export function writeNonce(nonce: Buffer, iv: Buffer, counter: number): void {
  // Bit operations take 32 bits, so the counter goes in two halves; a BigInt for each frame would cost more than the XOR.
  const high = Math.floor(counter / 0x1_0000_0000);
  nonce.writeUInt32BE(iv.readUInt32BE(0), 0);
  nonce.writeUInt32BE((iv.readUInt32BE(4) ^ high) >>> 0, 4);
  nonce.writeUInt32BE((iv.readUInt32BE(8) ^ counter) >>> 0, 8);
}
