/** npm thrift's own compact protocol and framed transport, as the independent peer of ours. */
import { TCompactProtocol, TFramedTransport } from 'thrift';

/** One frame, with its length, of what the callback writes. */
export function npmFrame(write: (protocol: TCompactProtocol) => void): Buffer {
  let frame: Buffer | undefined;
  const transport = new TFramedTransport(undefined, (bytes?: Buffer) => {
    frame = bytes;
  });
  write(new TCompactProtocol(transport));
  transport.flush();
  if (frame === undefined) throw new Error('npm thrift wrote no frame.');
  return frame;
}

/** npm thrift's protocol over a frame of ours, through its own receiver. */
export function npmReading(frame: Buffer): TCompactProtocol {
  let protocol: TCompactProtocol | undefined;
  TFramedTransport.receiver((transport) => {
    protocol = new TCompactProtocol(transport);
  }, 0)(frame);
  if (protocol === undefined) throw new Error('npm thrift saw no frame.');
  return protocol;
}
