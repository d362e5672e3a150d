/**
 * Connections of services, of which an address has so many. Where there is no room for a new one, an idle one makes it: of the address
 * with the most of those on which nobody was whom Keystone knows, and only after these of the others. To be connected costs nothing, so
 * it is no right to stay.
 */
import type { Socket } from 'node:net';
import { addressKey } from '../../core/addressKey.ts';
import type { Telemetry } from '../../core/telemetry.ts';

interface Connection {
  readonly socket: Socket;
  readonly name: string;
  readonly address: string;
  readonly place: Place;
  /** Requests that are not answered yet. */
  requests: number;
  /** Whether Keystone knew somebody who asked over it. */
  isMet: boolean;
}

/** An address. */
interface Place {
  count: number;
  /** Those of its connections that are idle; the one that has been for longest comes first. */
  readonly idle: { readonly strangers: Set<Connection>; readonly met: Set<Connection> };
}

export interface ConnectionLimits {
  readonly perAddress: number;
  readonly total: number;
}

const idleOf = ({ place, isMet }: Connection): Set<Connection> => (isMet ? place.idle.met : place.idle.strangers);

/** With TLS, requests come over a socket of their own around the one that was connected. */
const nameOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`;

export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #telemetry: Pick<Telemetry, 'refusal'>;
  readonly #connections = new Map<string, Connection>();
  readonly #places = new Map<string, Place>();

  constructor(limits: ConnectionLimits, telemetry: Pick<Telemetry, 'refusal'>) {
    this.#limits = limits;
    this.#telemetry = telemetry;
  }

  /** Takes a new one in, or closes it at once. */
  admit(socket: Socket): void {
    const address = addressKey(socket.remoteAddress ?? 'unknown');
    const name = nameOf(socket);
    // Its port may be used again before we hear of the end of the one before.
    const before = this.#connections.get(name);
    if (before) this.#forget(before);
    if (!this.#makeRoom(address)) {
      this.#refuse(socket);
      return;
    }
    const place = this.#places.get(address) ?? { count: 0, idle: { strangers: new Set(), met: new Set() } };
    const connection = { socket, name, address, place, requests: 0, isMet: false };
    this.#connections.set(name, connection);
    this.#places.set(address, place);
    place.idle.strangers.add(connection);
    place.count += 1;
    socket.once('close', () => this.#forget(connection));
  }

  /** A request has come over it; what is returned ends that. */
  begin(socket: Socket): () => void {
    const connection = this.#connections.get(nameOf(socket));
    if (!connection) return () => undefined;
    connection.requests += 1;
    idleOf(connection).delete(connection);
    return () => {
      connection.requests -= 1;
      if (connection.requests === 0 && this.#connections.get(connection.name) === connection)
        idleOf(connection).add(connection);
    };
  }

  /** Over this one somebody asks whom Keystone knows. */
  meet(socket: Socket): void {
    const connection = this.#connections.get(nameOf(socket));
    if (connection) connection.isMet = true;
  }

  #makeRoom(address: string): boolean {
    const place = this.#places.get(address);
    if (place && place.count >= this.#limits.perAddress) return this.#closeOneOf([place]);
    return this.#connections.size < this.#limits.total || this.#closeOneOf(this.#places.values());
  }

  #closeOneOf(places: Iterable<Place>): boolean {
    let strangers: ReadonlySet<Connection> = new Set();
    let met: ReadonlySet<Connection> = new Set();
    for (const { idle } of places) {
      if (idle.strangers.size > strangers.size) strangers = idle.strangers;
      if (idle.met.size > met.size) met = idle.met;
    }
    const [oldest] = strangers.size > 0 ? strangers : met;
    if (!oldest) return false;
    this.#forget(oldest);
    this.#refuse(oldest.socket);
    return true;
  }

  #forget(connection: Connection): void {
    const { name, address, place } = connection;
    if (this.#connections.get(name) !== connection) return;
    this.#connections.delete(name);
    idleOf(connection).delete(connection);
    place.count -= 1;
    if (place.count === 0) this.#places.delete(address);
  }

  #refuse(socket: Socket): void {
    this.#telemetry.refusal('connections');
    socket.destroy();
  }
}
