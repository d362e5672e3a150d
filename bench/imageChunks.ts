/** Chunks of an image over a channel, beside a bare TLS stream. */
import { Children, type Client, type Server } from './children.ts';
import type { Figure } from './report.ts';
import { median, medianRatio } from './statistics.ts';

const contenders = ['rawTls', 'sealedChunks', 'sealedTlsChunks'] as const;
type Name = (typeof contenders)[number];

/** One connection with four chunks in flight, as images are read. */
const load = { home: '', token: '', connections: 1, inFlight: 4, warmupMs: 300, durationMs: 1000 };

export async function measureChunks(rounds: number, say: (line: string) => void): Promise<Figure[]> {
  const children = new Children();
  try {
    const pairs = new Map<Name, { server: Server; client: Client }>();
    for (const name of contenders)
      pairs.set(name, { server: await children.serve(name), client: await children.client(name) });
    const rates = new Map<Name, number[]>(contenders.map((name) => [name, []]));
    // All in turn in each round, in the other direction every second time; the first one meets cold code and does not count.
    for (let round = 0; round <= rounds; round++)
      for (const name of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const { server, client } = pairs.get(name)!;
        const perS = await client.measure({ ...load, port: server.port });
        if (round > 0) rates.get(name)!.push(perS);
        say(`chunks ${round}/${rounds}: ${name} ${perS.toFixed(0)} MiB/s`);
      }
    const [raw, sealed, sealedOverTls] = contenders.map((name) => rates.get(name)!);
    return [
      { name: 'sealed_chunks_vs_raw_tls', value: medianRatio(sealed!, raw!), target: { atLeast: 0.8 } },
      { name: 'sealed_over_tls_chunks_vs_raw_tls', value: medianRatio(sealedOverTls!, raw!), target: { atLeast: 0.5 } },
      { name: 'raw_tls_mib_per_s', value: median(raw!) },
      { name: 'sealed_chunks_mib_per_s', value: median(sealed!) },
      { name: 'sealed_over_tls_chunks_mib_per_s', value: median(sealedOverTls!) },
    ];
  } finally {
    await children.stop();
  }
}
