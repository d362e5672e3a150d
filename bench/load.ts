/** A closed loop: every slot sends its next call when the one before is answered. */

/** One measurement, as the parent asks for it. */
export interface Load {
  /** Of the contender's server on 127.0.0.1; 0 where it has none. */
  readonly port: number;
  /** Home directory of the calling broker; empty for those who are none. */
  readonly home: string;
  /** A token that the serving broker's Keystone issued. */
  readonly token: string;
  /** Token of whoever asks, for those who validate over HTTP. */
  readonly caller?: string;
  /** Tokens to validate once each, for those who validate over HTTP; then the last one ends the measurement. Default: `token`, all the time. */
  readonly subjects?: readonly string[];
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly inFlight: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

/** One side of a comparison, in its own process. */
export interface Contender {
  /** Starts the server; resolves with its port. */
  readonly serve?: () => Promise<number>;
  /** Operations per second. */
  readonly measure: (load: Load) => Promise<number>;
}

export interface Connection {
  /** Starts one call. Callbacks, because they cost the same for everyone. */
  call(done: () => void, fail: (error: unknown) => void): void;
  close(): void;
}

export async function closedLoop(load: Load, connect: (load: Load) => Promise<Connection>): Promise<number> {
  const connections: Connection[] = [];
  try {
    for (let i = 0; i < load.connections; i++) connections.push(await connect(load));
    return await drive(connections, load);
  } finally {
    for (const connection of connections) connection.close();
  }
}

function drive(connections: readonly Connection[], { inFlight, warmupMs, durationMs }: Load): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    let running = true;
    for (const connection of connections) {
      const next = (): void => {
        count++;
        if (running) connection.call(next, reject);
      };
      for (let slot = 0; slot < inFlight; slot++) connection.call(next, reject);
    }
    setTimeout(() => {
      const begin = performance.now();
      count = 0;
      setTimeout(() => {
        running = false;
        resolve((count * 1000) / (performance.now() - begin));
      }, durationMs);
    }, warmupMs);
  });
}
