/** What the floors below HTTP report of themselves; metrics, and nothing else, are made of it. */
export interface Telemetry {
  /** One call ended. `outcome` is `ok` or the name of an error. */
  call(method: string, direction: 'in' | 'out', outcome: string, durationMs: number): void;
  /** A handshake ended, on the side that answers (`in`) or asks (`out`). */
  handshake(direction: 'in' | 'out', outcome: string): void;
  /** A peer was refused or cut off. `reason` is a name from a closed set. */
  refusal(reason: string): void;
  /** Channels now open. */
  channels(direction: 'in' | 'out', change: 1 | -1): void;
  keystoneCall(operation: string, outcome: string, durationMs: number): void;
  /** A request at the facade was answered. `route` is a name from a closed set. */
  facadeRequest(route: string, status: number, durationMs: number): void;
  /** An answer about a foreign token was decided; `source` says how it was known: cache, live, stale or none. */
  foreignAnswer(outcome: string, source: string): void;
  /** Syncs of images that this process runs now. */
  imageExecutions(change: 1 | -1): void;
  /** One ended; `outcome` is its state. */
  imageExecution(outcome: string): void;
  /** A sync of this region begins: what is counted by region counts from 0. */
  imageRegion(region: string): void;
  /** A task ended; `outcome` is its state, `sentBytes` what it has sent. */
  imageTask(region: string, outcome: string, sentBytes: number): void;
}

export const silentTelemetry: Telemetry = {
  call: () => {},
  handshake: () => {},
  refusal: () => {},
  channels: () => {},
  keystoneCall: () => {},
  facadeRequest: () => {},
  foreignAnswer: () => {},
  imageExecutions: () => {},
  imageExecution: () => {},
  imageRegion: () => {},
  imageTask: () => {},
};
