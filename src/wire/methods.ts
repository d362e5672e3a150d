/** The methods of the contract: what each takes and answers, and what every floor needs to know of it. */
import type {
  AttachRequest,
  AttachResponse,
  AuditCheckpoint,
  AuthenticateRequest,
  DeprovisionRequest,
  EndpointFilter,
  EndpointInfo,
  Image,
  ImageData,
  ImagePage,
  ImageQuery,
  ImageRange,
  ImageReceipt,
  ImageReference,
  ImageUpdate,
  ImageWrite,
  IssuedToken,
  NewImage,
  PairingStatus,
  PairRequest,
  PairResponse,
  PingRequest,
  PingResponse,
  ProvisionedProject,
  ProvisionRequest,
  RevocationNotice,
  RevocationPage,
  RevocationQuery,
  RevokeTokenRequest,
  RevokeTokenResult,
  RotationReceipt,
  RotationStatement,
  ServiceFilter,
  ServiceInfo,
  SessionTKT,
  TokenAnnouncement,
  TokenClaim,
  TokenClaimRequest,
  TokenValidation,
  TrustBundle,
  TrustEnd,
  ValidateTokenRequest,
} from './types.ts';

export interface Contract {
  getSession: { args: SessionTKT; result: SessionTKT };
  ping: { args: PingRequest; result: PingResponse };
  pair: { args: PairRequest; result: PairResponse };
  attach: { args: AttachRequest; result: AttachResponse };
  getPairing: { args: undefined; result: PairingStatus };
  getTrustBundle: { args: undefined; result: TrustBundle };
  updateIdentity: { args: RotationStatement; result: RotationReceipt };
  endTrust: { args: TrustEnd; result: undefined };
  validateTokenHard: { args: ValidateTokenRequest; result: TokenValidation };
  validateTokenSoft: { args: ValidateTokenRequest; result: TokenValidation };
  authenticate: { args: AuthenticateRequest; result: IssuedToken };
  getServices: { args: ServiceFilter; result: ServiceInfo[] };
  getEndpoints: { args: EndpointFilter; result: EndpointInfo[] };
  revokeToken: { args: RevokeTokenRequest; result: RevokeTokenResult };
  getRevocations: { args: RevocationQuery; result: RevocationPage };
  popToken: { args: RevocationNotice; result: undefined };
  pushToken: { args: TokenAnnouncement; result: undefined };
  claimToken: { args: TokenClaimRequest; result: TokenClaim };
  provision: { args: ProvisionRequest; result: ProvisionedProject };
  deprovision: { args: DeprovisionRequest; result: undefined };
  exchangeCheckpoint: { args: AuditCheckpoint; result: AuditCheckpoint };
  listImages: { args: ImageQuery; result: ImagePage };
  getImage: { args: ImageReference; result: Image };
  readImageData: { args: ImageRange; result: ImageData };
  createImage: { args: NewImage; result: Image };
  writeImageData: { args: ImageWrite; result: ImageReceipt };
  updateImage: { args: ImageUpdate; result: Image };
  deleteImage: { args: ImageReference; result: undefined };
}

export type MethodName = keyof Contract;
export type Argument<M extends MethodName> = Contract[M]['args'];
export type Result<M extends MethodName> = Contract[M]['result'];

export interface MethodFacts {
  /** Whether a call may be sent again when its answer was lost. */
  readonly idempotent: boolean;
  /** Whether it may be called before `attach`. */
  readonly plain: boolean;
  /** Nobody waits for an answer, and none comes, not even of a failure. */
  readonly oneway?: true;
}

const facts: Readonly<Record<MethodName, MethodFacts>> = {
  // A repeated ticket is a replay: a retry of the handshake is a new ticket.
  getSession: { idempotent: false, plain: true },
  ping: { idempotent: true, plain: true },
  pair: { idempotent: false, plain: true },
  attach: { idempotent: false, plain: true },
  getPairing: { idempotent: true, plain: false },
  getTrustBundle: { idempotent: true, plain: false },
  // The receiver knows a statement by its sequence and answers a repeat with the same receipt.
  updateIdentity: { idempotent: true, plain: false },
  endTrust: { idempotent: true, plain: false },
  validateTokenHard: { idempotent: true, plain: false },
  validateTokenSoft: { idempotent: true, plain: false },
  // A repeat would issue a second token, and count as a second guess of a password.
  authenticate: { idempotent: false, plain: false },
  getServices: { idempotent: true, plain: false },
  getEndpoints: { idempotent: true, plain: false },
  revokeToken: { idempotent: true, plain: false },
  getRevocations: { idempotent: true, plain: false },
  popToken: { idempotent: true, plain: false, oneway: true },
  pushToken: { idempotent: true, plain: false, oneway: true },
  claimToken: { idempotent: true, plain: false },
  // By their request id and their project.
  provision: { idempotent: true, plain: false },
  deprovision: { idempotent: true, plain: false },
  exchangeCheckpoint: { idempotent: true, plain: false },
  listImages: { idempotent: true, plain: false },
  getImage: { idempotent: true, plain: false },
  readImageData: { idempotent: true, plain: false },
  // By the id that the caller chose, and by the place of the chunk.
  createImage: { idempotent: true, plain: false },
  writeImageData: { idempotent: true, plain: false },
  updateImage: { idempotent: true, plain: false },
  deleteImage: { idempotent: true, plain: false },
};

const factsByName: ReadonlyMap<string, MethodFacts> = new Map(Object.entries(facts));

export const methodNames = [...factsByName.keys()] as readonly MethodName[];

export const methodFacts = (method: MethodName): MethodFacts => facts[method];

const methodsByName: ReadonlyMap<string, MethodName> = new Map(methodNames.map((method) => [method, method]));

/**
 * The method of that name. What is returned is our own string: every table of methods is then looked up without comparing or hashing
 * the bytes of the peer's again.
 */
export const methodNamed = (name: string): MethodName | undefined => methodsByName.get(name);
