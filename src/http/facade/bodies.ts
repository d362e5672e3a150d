/**
 * Bodies of requests. A slow one costs its sender, and nobody else: what is short has come in as a whole before Keystone hears of it,
 * what is longer is handed on over connections of its own, and of both there are few on their way at a time.
 */
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { addressKey } from '../../core/addressKey.ts';
import { AllianceError } from '../../core/errors.ts';
import { facadeLimits } from '../../core/limits.ts';
import type { Exchange } from './exchange.ts';

export interface ArrivalLimits {
  readonly perAddress: number;
  readonly total: number;
}

type GiveUp = (reason: AllianceError) => void;

/** What is still coming in. Where it is too much, the oldest of the address with the most is given up: bodies take milliseconds. */
export class Arrivals {
  readonly #limits: ArrivalLimits;
  readonly #byAddress = new Map<string, Set<GiveUp>>();
  #count = 0;

  constructor(limits: ArrivalLimits) {
    this.#limits = limits;
  }

  /** `giveUp` is called at most once, and not after the end, which is what is returned. */
  begin(address: string, giveUp: GiveUp): () => void {
    const { perAddress, total } = this.#limits;
    if ((this.#byAddress.get(address)?.size ?? 0) >= perAddress) this.#giveUpOldest(address);
    else if (this.#count >= total) this.#giveUpOldest(this.#busiest());
    const own = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, own.add(giveUp));
    this.#count += 1;
    return () => this.#end(address, giveUp);
  }

  #end(address: string, giveUp: GiveUp): void {
    const own = this.#byAddress.get(address);
    if (!own?.delete(giveUp)) return;
    this.#count -= 1;
    if (own.size === 0) this.#byAddress.delete(address);
  }

  #busiest(): string {
    let [busiest, most] = ['', 0];
    for (const [address, { size }] of this.#byAddress) if (size > most) [busiest, most] = [address, size];
    return busiest;
  }

  #giveUpOldest(address: string): void {
    const [oldest] = this.#byAddress.get(address)!;
    this.#end(address, oldest!);
    oldest!(new AllianceError('overloaded', { details: `Too many slow requests of ${address}.` }));
  }
}

const tooLong = () => new AllianceError('frame_too_large', { field: 'body' });

export const addressOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? 'unknown';

/** Whom shares are of. */
export const placeOf = (request: IncomingMessage): string => addressKey(addressOf(request));

const lengthOf = ({ headers }: Exchange): number => Number(headers.values.get('content-length') ?? 0);

const isChunked = ({ request }: Exchange): boolean => request.headers['transfer-encoding'] !== undefined;

const hasBody = (exchange: Exchange): boolean => isChunked(exchange) || lengthOf(exchange) > 0;

/** Whether a body may be so long, or can be, that it is not waited for. */
export const isLong = (exchange: Exchange): boolean =>
  isChunked(exchange) || lengthOf(exchange) > facadeLimits.wholeBytes;

/**
 * The whole body; null where there is none.
 * @throws AllianceError frame_too_large; overloaded where it was given up; connection_lost
 */
export function readBody(arrivals: Arrivals, exchange: Exchange): Promise<Buffer | null> {
  const { request } = exchange;
  if (!hasBody(exchange)) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const stop = (): void => {
      end();
      request.off('data', take).off('end', finish).off('close', lose);
    };
    const fail = (error: AllianceError): void => {
      stop();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > facadeLimits.wholeBytes) fail(tooLong());
      else chunks.push(chunk);
    };
    const finish = (): void => {
      stop();
      resolve(Buffer.concat(chunks));
    };
    const lose = (): void => fail(new AllianceError('connection_lost', { details: 'The caller went away.' }));
    const end = arrivals.begin(placeOf(request), fail);
    if (lengthOf(exchange) > facadeLimits.wholeBytes) fail(tooLong());
    else request.on('data', take).on('end', finish).on('close', lose).on('error', lose);
  });
}

/** The body as it comes in; whoever reads this stream may end it without ending the caller's connection. */
export function streamBody(arrivals: Arrivals, { request }: Exchange): Transform {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > facadeLimits.requestBytes ? tooLong() : null, chunk);
    },
  });
  const end = arrivals.begin(placeOf(request), (reason) => counted.destroy(reason));
  // Once undici has given it up there may be nobody left to hear of an error.
  counted.on('error', () => undefined).on('close', end);
  return request.once('end', end).pipe(counted);
}
