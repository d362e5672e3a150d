/** A Link on one end of a socket, that writes down what happens to it; and frames made by hand for the other end. */

import type { Duplex } from 'node:stream';
import type { ChannelKeys } from '../../src/channel/attach.ts';
import { Link } from '../../src/channel/link.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import type { CompactWriter } from '../../src/wire/compact.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { encodeCall, readMessage } from '../../src/wire/messages.ts';
import { labelled } from './randomness.ts';

export const [nearKeys, farKeys] = ((): [ChannelKeys, ChannelKeys] => {
  const [a, b] = [
    { key: labelled('a key', 32), iv: labelled('a iv', 12) },
    { key: labelled('b key', 32), iv: labelled('b iv', 12) },
  ];
  return [
    { sendKey: a.key, sendIv: a.iv, receiveKey: b.key, receiveIv: b.iv },
    { sendKey: b.key, sendIv: b.iv, receiveKey: a.key, receiveIv: a.iv },
  ];
})();

export interface LinkEnd {
  readonly link: Link;
  /** seqids of the messages that came, in order. */
  readonly seen: number[];
  /** Whether each came sealed. */
  readonly sealed: boolean[];
  readonly counts: { confirmed: number; bytes: number; sent: number; closes: number };
  readonly closed: Promise<AllianceError | undefined>;
  /** Resolves as soon as so many messages have come. */
  received(count: number): Promise<void>;
  /** Sends pings with these seqids, in one turn. */
  ping(...seqids: number[]): void;
  /** Called with each message, as it comes. */
  onMessage: (seqid: number) => void;
}

export function linkEnd(stream: Duplex): LinkEnd {
  const reader = new CompactReader();
  const waiting: { count: number; resolve: () => void }[] = [];
  let settle: (error: AllianceError | undefined) => void = () => undefined;
  const end: LinkEnd = {
    seen: [],
    sealed: [],
    counts: { confirmed: 0, bytes: 0, sent: 0, closes: 0 },
    closed: new Promise((resolve) => {
      settle = resolve;
    }),
    received: (count) =>
      end.seen.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
    ping: (...seqids) => {
      for (const seqid of seqids) writePing(end.link, seqid, 'hello');
    },
    onMessage: () => undefined,
    link: new Link({
      stream,
      onMessage: (message, sealed) => {
        reader.reset(message);
        const { seqid } = readMessage(reader);
        end.seen.push(seqid);
        end.sealed.push(sealed);
        end.onMessage(seqid);
        for (const each of waiting) if (end.seen.length >= each.count) each.resolve();
      },
      onClose: (error) => {
        end.counts.closes++;
        settle(error);
      },
      onConfirmed: () => {
        end.counts.confirmed++;
      },
      onBytes: (sizeBytes) => {
        end.counts.bytes += sizeBytes;
      },
      onSent: (sizeBytes) => {
        end.counts.sent += sizeBytes;
      },
    }),
  };
  return end;
}

export function writePing(link: Pick<Link, 'writer' | 'commit'>, seqid: number, text: string): void {
  const mark = link.writer.mark();
  encodePing(link.writer, seqid, text);
  link.commit(mark);
}

const encodePing = (writer: CompactWriter, seqid: number, text: string): void =>
  encodeCall(writer, seqid, 'ping', { cloud_id: 'east', request_data: text });
