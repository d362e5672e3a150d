/** The broker of a partner, played by the test: it shakes hands and attaches as it should, unless told otherwise. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type AttachResponseFields, answerAttach, noBinding } from '../../src/channel/attach.ts';
import { type AgreedSession, answerRequest, readRequest, verifyRequest } from '../../src/channel/handshake.ts';
import { Link } from '../../src/channel/link.ts';
import type { Ticket } from '../../src/channel/tickets.ts';
import { fromTicket, toTicket } from '../../src/client/session.ts';
import { AllianceError, toAllianceError } from '../../src/core/errors.ts';
import type { CloudId } from '../../src/core/ids.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import type { Partner } from '../../src/model/partner.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { encodeError, encodeResult, readArgument, readMessage } from '../../src/wire/messages.ts';
import { type MethodName, methodNamed, type Result } from '../../src/wire/methods.ts';
import { type AttachRequest, AttachResponse, PingResponse } from '../../src/wire/types.ts';
import type { Cloud } from './cloud.ts';
import { makeIdentity } from './identity.ts';
import { pinOf } from './partnerPeer.ts';

export interface FalseCall {
  readonly method: MethodName;
  readonly argument: unknown;
  readonly seqid: number;
  readonly socket: Socket;
  reply<M extends MethodName>(method: M, value: Result<M>): void;
}

export interface FalseBehaviour {
  /** What becomes of its answer to a ticket. */
  ticket?: (answer: Ticket, request: Ticket) => Ticket;
  attach?: (response: AttachResponseFields) => AttachResponseFields;
  /** Bytes that leave in one piece with the answer to the attach request, right behind it. */
  afterAttach?: Buffer;
  /** What its answer to the attach request waits for. */
  beforeAttach?: () => Promise<void>;
  /** Instead of an answer to the attach request; throws what the partner is told. */
  refuseAttach?: () => void;
  /** Calls over the channel; a ping is answered where this is missing. */
  answer?: (call: FalseCall) => void;
}

export interface FalsePartner {
  readonly identity: Identity;
  /** As the cloud stores it: a provider, so that it may be asked anything. */
  readonly partner: Partner;
  readonly methods: MethodName[];
  stop(): Promise<void>;
}

const falsePartners = new Set<FalsePartner>();

/** For `afterEach`. */
export async function stopFalsePartners(): Promise<void> {
  for (const one of falsePartners) await one.stop();
}

export async function startFalsePartner(
  cloud: Cloud,
  behaviour: FalseBehaviour = {},
  cloudId = 'false-one',
): Promise<FalsePartner> {
  const identity = makeIdentity(cloudId);
  const sessions = new Map<string, AgreedSession>();
  const methods: MethodName[] = [];
  const sockets = new Set<Socket>();
  const now = () => cloud.installation.clock.now();

  const agree = async (request: Ticket): Promise<Ticket> => {
    const read = readRequest(request);
    const own = await verifyRequest(read, [pinOf(cloud.installation.view.current.identity)], [identity], now());
    const { ticket, session } = await answerRequest(read, { identity: own, now: now() });
    sessions.set(session.sid.toString('hex'), session);
    return behaviour.ticket?.(ticket, request) ?? ticket;
  };

  const accept = (socket: Socket) => {
    sockets.add(socket);
    const reader = new CompactReader();
    const link = new Link({ stream: socket, onClose: () => sockets.delete(socket), onMessage });
    const write = (encode: () => void) => {
      const mark = link.writer.mark();
      encode();
      link.commit(mark);
    };
    function onMessage(message: Buffer): void {
      reader.reset(message);
      const header = readMessage(reader);
      const { seqid } = header;
      const name = methodNamed(header.name);
      if (!name) return;
      methods.push(name);
      const reply: FalseCall['reply'] = (method, value) => write(() => encodeResult(link.writer, seqid, method, value));
      if (name === 'getSession')
        agree(toTicket(readArgument(reader, name))).then(
          (ticket) => reply('getSession', fromTicket(ticket)),
          (error: unknown) => write(() => encodeError(link.writer, seqid, name, toAllianceError(error))),
        );
      else if (name === 'attach') void answerToAttach(readArgument(reader, name));
      else {
        const call: FalseCall = { method: name, argument: readArgument(reader, name), seqid, socket, reply };
        if (name === 'ping') reply('ping', new PingResponse({ cloud_id: cloudId, response_data: 'pong' }));
        else behaviour.answer?.(call);
      }

      async function answerToAttach(argument: AttachRequest): Promise<void> {
        await behaviour.beforeAttach?.();
        const session = sessions.get(argument.sid.toString('hex'));
        socket.cork();
        try {
          behaviour.refuseAttach?.();
          if (!session) throw new AllianceError('session_invalid');
          const initiator = { cloudId: cloud.cloudId, fingerprint: session.partnerFingerprint };
          const responder = { cloudId, fingerprint: identity.fingerprint };
          const context = { sid: argument.sid, initiator, responder, binding: noBinding };
          const { response, keys } = answerAttach(session.secret, context, argument);
          reply('attach', new AttachResponse({ ...(behaviour.attach?.(response) ?? response) }));
          link.secure(keys, 'awaited');
        } catch (error) {
          write(() => encodeError(link.writer, seqid, 'attach', toAllianceError(error)));
          link.end();
        }
        if (behaviour.afterAttach) socket.write(behaviour.afterAttach);
        socket.uncork();
      }
    }
  };

  const server = createServer(accept).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { store, view } = cloud.installation;
  const { fingerprint, algorithm, certificateDer, notBefore, notAfter } = identity;
  const partner = await store.partners.add({
    cloudId: cloudId as CloudId,
    role: 'both',
    state: 'active',
    endpoints: [`tcp://127.0.0.1:${port}`],
    key: { fingerprint, algorithm, certificateDer, notBefore, notAfter },
    binding: 'none',
    acknowledgedSequence: view.current.sequence,
  });
  await view.refresh();
  const falsePartner: FalsePartner = {
    identity,
    partner,
    methods,
    stop: async () => {
      if (!falsePartners.delete(falsePartner)) return;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  falsePartners.add(falsePartner);
  return falsePartner;
}
