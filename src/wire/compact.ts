/** Our own Thrift compact protocol: what generated code reads from and writes to. */
export { CompactReader } from './reader.ts';
export { CompactWriter } from './writer.ts';
