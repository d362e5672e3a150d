/**
 * AllianceService: what a cloud's broker answers to a partner cloud's broker.
 *
 * Transport: Thrift framed transport, compact protocol. After `attach` every frame is sealed (docs/protocol.md).
 * Times are UTC epoch milliseconds unless a name says otherwise. Text is UTF-8.
 *
 * "Plain" below means: callable before `attach`, by anyone, within the limits for unauthenticated peers. Every other method
 * needs a confirmed channel, and its caller is the channel's partner and nobody else: no argument can say otherwise.
 * A partner's role is what that partner is to the answering cloud: a `consumer` asks us, a `provider` is asked by us.
 *
 * Every method may raise AException; docs/errors.md lists its codes.
 */
namespace js alliance
namespace py alliance

/**
 * The one exception of the service. Numbers below 1200 and 501, 502, 2404 are the 2014 prototype's.
 * The message never holds a secret, an address or the text of an internal error.
 */
exception AException {
  /** Stable number of the error, see docs/errors.md. */
  1: i32 code
  /** Public text of the error, at most 512 bytes. */
  2: string message
  /** Id under which the answering broker logged the call, at most 64 bytes; absent before `attach`. */
  3: optional string request_id
  /** True when the same call may succeed later without any change by the caller. */
  4: optional bool retryable
  /** Milliseconds to wait before a retry, 0 to 3,600,000; only with retryable = true. */
  5: optional i32 retry_after_ms
}

/**
 * The ticket of the handshake, in both directions: a detached JWS (RFC 7515, appendix F) over a JSON payload.
 * The three fields together are at most 4 KiB.
 */
struct SessionTKT {
  /** cloud_id of the sender; must equal `iss` inside. */
  1: string cloud_id
  /** base64url(protected header) || ".." || base64url(signature); the header is exactly {alg, typ}. */
  2: string signature
  /** base64url(payload JSON), without padding. */
  3: string pki_data
}

/** Argument of ping. */
struct PingRequest {
  /** cloud_id of the caller, at most 63 bytes by custom; the answer never depends on it. */
  1: string cloud_id
  /** Any text, at most 8 KiB; not echoed. */
  2: string request_data
}

/** Answer of ping. */
struct PingResponse {
  /** cloud_id of the answering cloud. */
  1: string cloud_id
  /** Always "pong". */
  2: string response_data
}

/** First call of pairing, from the acceptor: a commitment to a random value, before that value is known. */
struct PairOpen {
  /** Id of the invitation, 16 bytes. */
  1: binary invitation_id
  /** Exact bytes of the acceptor's card: JSON {cloud_id, certificate, endpoints, role, binding}, at most 8 KiB. */
  2: binary card
  /** SHA-256("alliance/1 commit" || r_A || L(card)), 32 bytes. */
  3: binary commitment
}

/** Answer to PairOpen, the same for known and unknown invitations. */
struct PairOffer {
  /** Exact bytes of the inviter's card, at most 8 KiB. */
  1: binary card
  /** r_B, 32 random bytes. */
  2: binary nonce
}

/** Second call of pairing, on the same connection: opens the commitment and proves possession of key and invitation. */
struct PairProof {
  /** r_A, 32 bytes: what the commitment was made of. */
  1: binary nonce
  /** Compact JWS of the acceptor, typ alliance-pair, over {v, side, tp}; at most 4 KiB. */
  2: string signature
  /** HMAC-SHA-256(kp, "acceptor" || tp), 32 bytes. */
  3: binary mac
}

/** Where a pairing stands. */
enum PairingState {
  /** The inviter's operator has still to approve it. */
  PENDING = 1
  /** Calls are allowed. */
  ACTIVE = 2
}

/** Answer to PairProof. */
struct PairResult {
  /** Compact JWS of the inviter, typ alliance-pair, over {v, side, tp}; at most 4 KiB. */
  1: string signature
  /** HMAC-SHA-256(kp, "inviter" || tp), 32 bytes. */
  2: binary mac
  /** Whether the partner may call at once. */
  3: PairingState state
}

/** One of the two calls of pairing: exactly one member is set. */
struct PairRequest {
  /** The first call. */
  1: optional PairOpen open
  /** The second call, on the same connection. */
  2: optional PairProof proof
}

/** The member that answers the request's one. */
struct PairResponse {
  /** To the first call. */
  1: optional PairOffer offer
  /** To the second call. */
  2: optional PairResult result
}

/** Argument of attach. */
struct AttachRequest {
  /** Session id, 16 bytes. */
  1: binary sid
  /** Fresh X25519 public key, 32 bytes. */
  2: binary epk
  /** 32 fresh random bytes. */
  3: binary nonce
  /** HMAC-SHA-256 over the attach context, 32 bytes. */
  4: binary mac
}

/** Answer of attach. */
struct AttachResponse {
  /** Fresh X25519 public key, 32 bytes. */
  1: binary epk
  /** 32 fresh random bytes. */
  2: binary nonce
  /** The responder's key confirmation, 32 bytes. */
  3: binary mac
}

/** What a trust bundle says of one certificate. */
enum CertificateState {
  /** Signs tickets now. */
  CURRENT = 1
  /** Announced by a rotation, or superseded and still within its overlap. */
  OVERLAP = 2
}

/** One certificate of a trust bundle. */
struct IdentityCertificate {
  /** X.509 certificate, DER, at most 4 KiB. */
  1: binary certificate
  /** What the key is used for now. */
  2: CertificateState state
  /** Start of the certificate, UTC epoch milliseconds. */
  3: i64 not_before
  /** Until when the key may be used, UTC epoch milliseconds: end of the overlap, or of the certificate. */
  4: i64 not_after
}

/** A key that the answering cloud's Keystone signs tokens with (its JWS token provider). */
struct TokenSigningKey {
  /** ES256, ES384, ES512 or EdDSA (RFC 7518, RFC 8037). */
  1: string algorithm
  /** SubjectPublicKeyInfo, DER, at most 1 KiB. */
  2: binary public_key
}

/** Identity certificates of the answering cloud, after the SPIFFE trust bundle. */
struct TrustBundle {
  /** cloud_id of the answering cloud. */
  1: string cloud_id
  /** Grows by one with each change of the certificates. */
  2: i64 sequence
  /** Seconds after which to ask again, 60 to 86,400. */
  3: i32 refresh_hint_s
  /** One or two certificates. */
  4: list<IdentityCertificate> certificates
  /** Keys of the answering cloud's JWS tokens, at most 16; absent where its Keystone issues none. */
  5: optional list<TokenSigningKey> token_keys
}

/** A rotation of the caller's identity: one payload, signed by the old and by the new key (both typ alliance-rotate). */
struct RotationStatement {
  /** base64url(JSON {v, iss, aud, seq, old_key, certificate, not_before, overlap_till}), at most 12 KiB. */
  1: string payload
  /** Detached JWS of the old key, at most 1 KiB. */
  2: string old_signature
  /** Detached JWS of the new key, at most 1 KiB. */
  3: string new_signature
}

/** What the answering cloud holds of the caller after a rotation. */
struct RotationReceipt {
  /** Sequence that the answering cloud now holds for the caller. */
  1: i64 sequence
  /** SHA-256 of the SubjectPublicKeyInfo of the certificate now expected, 32 bytes. */
  2: binary fingerprint
}

/** Answer of getPairing. */
struct PairingStatus {
  /** Whether the caller has been approved. */
  1: PairingState state
  /** From when on the answering cloud trusts the caller, UTC epoch milliseconds. */
  2: i64 trust_since
  /** Until when, UTC epoch milliseconds; absent: without end. */
  3: optional i64 trust_till
}

/** Why the caller ends a trust. */
enum TrustEnd {
  /** The caller's operator revoked the answering cloud. */
  REVOKED = 1
  /** The caller's operator removed the answering cloud from its partners. */
  REMOVED = 2
}

/** What is known of a token. */
enum TokenStatus {
  /** The issuing Keystone says that the token is good. */
  VALID = 1
  /** The issuing Keystone says that it is unknown, expired, revoked or disabled. */
  INVALID = 2
  /** Nobody can say now. Never read it as INVALID. */
  INDETERMINATE = 3
}

/** Why an answer is INDETERMINATE. */
enum IndeterminateReason {
  /** Keystone did not answer in time or refused the connection. */
  KEYSTONE_UNREACHABLE = 1
  /** Keystone refused this broker's own credentials. */
  KEYSTONE_REFUSED = 2
  /** Keystone answered with something that is no token answer. */
  KEYSTONE_MALFORMED = 3
  /** Soft validation only: nothing recent is known of this token; ask validateTokenHard. */
  NOT_KNOWN = 4
  /** Too many validations wait for Keystone. */
  OVERLOADED = 5
}

/** Argument of validateTokenHard and validateTokenSoft. */
struct ValidateTokenRequest {
  /** The token as its user sent it: `[A-Za-z0-9._=-]{1,8192}`. A qualified token (`a1.`) is refused. */
  1: string token
  /** Also a token that has expired, within Keystone's window (Keystone's `allow_expired`); only for validateTokenHard. */
  2: optional bool allow_expired
}

/** Answer of validateTokenHard and validateTokenSoft. */
struct TokenValidation {
  /** Read this one first: the other members depend on it. */
  1: TokenStatus status
  /** Only with INDETERMINATE. */
  2: optional IndeterminateReason reason
  /** When the token expires, UTC epoch milliseconds; only with VALID. */
  3: optional i64 expires_at
  /** When Keystone was asked, UTC epoch milliseconds; absent when nothing is known. */
  4: optional i64 checked_at
  /**
   * Body of Keystone's answer, verbatim JSON (Identity API v3, GET /v3/auth/tokens?nocatalog), at most 1 MiB; only with VALID, only from
   * validateTokenHard. It has no catalog: getEndpoints tells what partners may see of that.
   */
  5: optional string body
  /** Sequence of the newest revocation in getRevocations when this was answered. */
  6: optional i64 revocation_head
}

/** Argument of revokeToken. */
struct RevokeTokenRequest {
  /** The token as its user sent it: `[A-Za-z0-9._=-]{1,8192}`. */
  1: string token
}

/** Answer of revokeToken. */
struct RevokeTokenResult {
  /** False when the token was not valid any more; it is not valid now in either case. */
  1: bool was_valid
}

/**
 * One event of Keystone's OS-REVOKE API: every token that agrees with all members that are set is revoked. Ids are told as pseudonyms, 22
 * characters of base64url each, which only who knows the id can compare (docs/protocol.md, section 9): the caller gets to know nothing of
 * tokens that it has not met. A caller that cannot read an event goes on behind it, and forgets what it remembers of the answering cloud's tokens.
 */
struct Revocation {
  /** Grows by at least one from each revocation to the next. */
  1: i64 sequence
  /** UTC epoch milliseconds. */
  2: i64 revoked_at
  /** Tokens issued at this time or earlier, UTC epoch milliseconds. */
  3: i64 issued_before
  /** First of the token's audit_ids. */
  4: optional string audit_id
  /** Last of the token's audit_ids. */
  5: optional string audit_chain_id
  /** The user, or either user of the token's trust. */
  6: optional string user_id
  7: optional string project_id
  /** Domain of the user or of the project. */
  8: optional string domain_id
  /** Domain that the token is scoped to. */
  9: optional string domain_scope_id
  10: optional string role_id
  11: optional string trust_id
  /** Tokens that expire at exactly this time, UTC epoch milliseconds. */
  12: optional i64 expires_at
}

/** Argument of getRevocations. */
struct RevocationQuery {
  /** Sequence of the last revocation that the caller has; 0: from the oldest one kept; -1: only tell the head. */
  1: i64 after
  /** How long to wait for one when there is none, 0 to 30,000 milliseconds. */
  2: i32 wait_ms
  /** At most so many, 1 to 1,000. */
  3: i32 limit
  /** Whether the caller wants pushToken for fresh tokens until a minute after this call; granted where the answering cloud allows it. */
  4: optional bool announce_tokens
}

/** Answer of getRevocations. */
struct RevocationPage {
  /** In their order. */
  1: list<Revocation> revocations
  /** What to give as `after` next time. */
  2: i64 next_after
  /** Sequence of the newest one. */
  3: i64 head
  /** True when revocations after `after` are no longer kept: whatever the caller remembers of tokens is void. */
  4: bool gap
  /** Milliseconds since the answering cloud last asked its Keystone for revocations, with success; absent: not yet. */
  5: optional i64 age_ms
}

/** Wakes the reader of getRevocations; losing one costs time and nothing else. */
struct RevocationNotice {
  /** Sequence of the newest revocation. */
  1: i64 head
}

/** A fresh token of the calling cloud: how it can be recognised, not the token. */
struct TokenAnnouncement {
  /** Hint of the token for this pair of clouds (docs/protocol.md), 32 bytes. */
  1: binary hint
  /** When the token expires, UTC epoch milliseconds. */
  2: i64 expires_at
}

/** Does the answering cloud know the token of this hint? */
struct TokenClaimRequest {
  /** Hint of the token for this pair of clouds (docs/protocol.md), 32 bytes. */
  1: binary hint
  /** 32 fresh random bytes. */
  2: binary nonce
}

/** Answer of claimToken. */
struct TokenClaim {
  /** HMAC-SHA-256 that only one who holds the token can make (docs/protocol.md), 32 bytes; absent: the token is not known. */
  1: optional binary proof
  /** True: the answering cloud knows all its tokens, so this is none of them. Absent, without a proof: it cannot know. */
  2: optional bool not_ours
}

/**
 * A user or project by id, or by name and domain; exactly one of id and name is set. No member has control characters, or white space at
 * an end.
 */
struct NamedReference {
  /** Keystone's id, 1 to 255 bytes. */
  1: optional string id
  /** 1 to 255 bytes. */
  2: optional string name
  /** Of the domain that the name is in; exactly one of domain_id and domain_name goes with a name. */
  3: optional string domain_id
  /** The same by name, 1 to 255 bytes. */
  4: optional string domain_name
}

/** Login by password. */
struct PasswordCredentials {
  /** Who logs in. */
  1: NamedReference user
  /** At most 4 KiB; never logged, never stored. */
  2: string password
}

/** Login by application credential. */
struct ApplicationCredentials {
  /** Keystone's id of the application credential, 1 to 255 bytes, of the same characters as those of a NamedReference. */
  1: string id
  /** At most 4 KiB; never logged, never stored. */
  2: string secret
}

/** Exactly one of password and application_credential is set; a project goes with password only. */
struct AuthenticateRequest {
  /** Login by password. */
  1: optional PasswordCredentials password
  /** Login by application credential, which has a project of its own. */
  2: optional ApplicationCredentials application_credential
  /** Scope of the token; absent: the user's default project, or unscoped. */
  3: optional NamedReference project
}

/** Answer of authenticate. */
struct IssuedToken {
  /** The token (X-Subject-Token of the answering cloud's Keystone). */
  1: string token
  /** When it expires, UTC epoch milliseconds. */
  2: i64 expires_at
  /** Body of Keystone's answer, verbatim JSON without the catalog, at most 1 MiB. */
  3: string body
}

/** Which services to list. What is set must match exactly; nothing set means all. Each text has at most 255 bytes (else error 400). */
struct ServiceFilter {
  /** Service type of the OpenStack service-types authority, e.g. "image". */
  1: optional string type
  /** Name of the service in Keystone. */
  2: optional string name
}

/** One service of the answering cloud. */
struct ServiceInfo {
  /** Keystone's id. */
  1: string id
  /** Service type, e.g. "image". */
  2: string type
  /** May be empty. */
  3: string name
  /** As the operator wrote it. */
  4: optional string description
}

/** Which endpoints to list. What is set must match exactly; nothing set means all. Each text has at most 255 bytes (else error 400). */
struct EndpointFilter {
  /** Service type, e.g. "image". */
  1: optional string type
  /** Id of the region. */
  2: optional string region
  /** public, internal or admin. */
  3: optional string interface_name
}

/** One endpoint of a service of the answering cloud. */
struct EndpointInfo {
  /** Keystone's id. */
  1: string id
  /** Keystone's id of the service. */
  2: string service_id
  /** Service type, e.g. "image". */
  3: string service_type
  /** May be empty. */
  4: string service_name
  /** public, internal or admin; by default only public ones are exported. */
  5: string interface_name
  /** Id of the region; absent where the endpoint has none. */
  6: optional string region
  /** As registered in Keystone; templates such as $(project_id)s are not filled in. */
  7: string url
}

/** Argument of provision. */
struct ProvisionRequest {
  /** Chosen by the caller, 1 to 64 bytes: a repeat with the same id and content gives the same project. */
  1: string request_id
  /** Name of the project, 1 to 64 bytes; the answering cloud says which names it takes. */
  2: string name
  /** User of the calling cloud, by its Keystone's id, 1 to 255 bytes; absent: every user of the calling cloud whom a mapping admits. */
  3: optional string user_id
  /** Names of roles that the user has there; absent: those that the answering cloud gives by default. At most 16. */
  4: optional list<string> roles
  /** When it is to be removed, UTC epoch milliseconds; absent: as late as the answering cloud allows. */
  5: optional i64 expires_at
  /** True: only asks whether the project that was made under request_id is still there (1407: it is not); nothing is made. */
  6: optional bool only_known
}

/** A project that was made for a partner. */
struct ProvisionedProject {
  /** Of the request that made it. */
  1: string request_id
  /** Keystone's id of the project. */
  2: string project_id
  /** Its name. */
  3: string name
  /** Keystone's id of its domain. */
  4: string domain_id
  /** Names of the roles that the user has there. */
  5: list<string> roles
  /** As in the request. */
  6: optional string user_id
  /** When it will be removed, UTC epoch milliseconds; absent: when it is asked for. */
  7: optional i64 expires_at
}

/** Argument of deprovision. */
struct DeprovisionRequest {
  /** Keystone's id of a project that was made for the calling cloud. */
  1: string project_id
}

/** What a cloud says of its audit at one time, signed; the other one keeps it. */
struct AuditCheckpoint {
  /**
   * base64url(JSON {v, iss, aud, seq, head, at, seen}): number and hash of the latest record, UTC epoch milliseconds, and number and
   * hash of what the sender holds of the receiver's audit, in an answer of what it held before the question came (null: nothing yet).
   */
  1: string payload
  /** Detached JWS (typ alliance-checkpoint) of the identity; at most 4 KiB with the payload. */
  2: string signature
}

/** A hash of an image's content, as Glance's `os_hash_algo` and `os_hash_value` tell it. */
struct ImageHash {
  /** In lower case, such as "sha512"; at most 64 bytes. */
  1: string algorithm
  /** Lower case hex, at most 256 bytes. */
  2: string value
}

/** Who may see an image (Image API v2). */
enum ImageVisibility {
  PUBLIC = 1
  COMMUNITY = 2
  SHARED = 3
  PRIVATE = 4
}

/** What can be said of an image by who makes or changes it. What is absent stays as it is, or is what Glance gives by default. */
struct ImageAttributes {
  /** At most 255 bytes. */
  1: optional string name
  /** Never PUBLIC from a partner: the answering cloud's operator says how far partners' images are seen. */
  2: optional ImageVisibility visibility
  /** Such as "qcow2"; at most 255 bytes. */
  3: optional string disk_format
  /** Such as "bare"; at most 255 bytes. */
  4: optional string container_format
  /** GiB, 0 to 2^31-1. */
  5: optional i32 min_disk
  /** MiB, 0 to 2^31-1. */
  6: optional i32 min_ram
  7: optional bool is_protected
  /** `os_hidden`. */
  8: optional bool hidden
  /** All of them, at most 128 of at most 255 bytes each. */
  9: optional list<string> tags
  /**
   * Those that are set; others stay. Keys of at most 255 bytes, values of at most 16 KiB; an image has at most 128 of them, and 64 KiB in all.
   * Never `alliance_*`, `os_glance_*` and what points at other things than the image (docs/protocol.md, section 11).
   */
  10: optional map<string, string> properties
}

/** One image of the answering cloud; never where its bytes are kept. */
struct Image {
  /** Glance's id. */
  1: string id
  /** All members but properties without a value are set. */
  2: ImageAttributes attributes
  /** Id of the project that it belongs to; empty where it is nobody's. */
  3: string owner
  /** Glance's: queued, saving, uploading, importing, active, deactivated, killed, deleted or pending_delete. */
  4: string status
  /** Bytes; absent until there is content. */
  5: optional i64 size
  /** MD5, lower case hex; absent where it is not known. */
  6: optional string checksum
  7: optional ImageHash hash
  /** UTC epoch milliseconds. */
  8: optional i64 created_at
  /** UTC epoch milliseconds. */
  9: optional i64 updated_at
  /** True: the caller made it, and may change and delete it. */
  10: bool yours
}

/** Which images to list. */
struct ImageQuery {
  /** Id of a region of the answering cloud, at most 255 bytes; absent: the one that its broker stands beside. */
  1: optional string region
  /** Id of the last image of the page before; absent: from the first one. */
  2: optional string after
  /** At most so many, 1 to 1,000; the answer may hold fewer. */
  3: i32 limit
}

/** Some images, in an order that does not change from page to page. */
struct ImagePage {
  1: list<Image> images
  /** What to give as `after` for the next page; absent: these were the last ones. */
  2: optional string next_after
}

/** One image. */
struct ImageReference {
  /** As in ImageQuery. */
  1: optional string region
  /** Glance's id, 1 to 255 bytes. */
  2: string id
}

/** Argument of readImageData. */
struct ImageRange {
  1: ImageReference image
  /** First byte, from 0. */
  2: i64 offset
  /** Bytes, 1 to 1,048,576. */
  3: i32 length
}

/** Answer of readImageData. */
struct ImageData {
  /** As many bytes as were asked for, or fewer at the end. */
  1: binary data
  /** Bytes of the whole image. */
  2: i64 size
}

/** Argument of createImage. */
struct NewImage {
  /** The id is a UUID that the caller has chosen: a repeat with the same id by the same caller gives the image that is there. */
  1: ImageReference image
  /** A name is needed. */
  2: ImageAttributes attributes
}

/** Argument of writeImageData. Chunks come in their order; several may be in flight. */
struct ImageWrite {
  1: ImageReference image
  /** Of the first byte of `data`, from 0. One that was received already is left out. */
  2: i64 offset
  /** At most 1,048,576 bytes. */
  3: binary data
  /** Bytes of the whole image, the same in each chunk. */
  4: i64 size
}

/** Answer of writeImageData. */
struct ImageReceipt {
  /** Bytes from the first one on that are received; where it is not `offset` plus the length of the chunk, go on there. */
  1: i64 received
  /** With the last chunk, when Glance has it all: the image. */
  2: optional Image image
}

/** Argument of updateImage. */
struct ImageUpdate {
  1: ImageReference image
  /** What is set. */
  2: ImageAttributes attributes
  /** Names of properties that are removed, at most 256. */
  3: optional list<string> removed_properties
}

/** What a cloud's broker answers to the brokers of its partners. */
service AllianceService {
  /** Handshake: agree on a session (docs/protocol.md, section 2). Plain. Errors 1101 to 1104, 1106, 1107. */
  SessionTKT getSession(1: SessionTKT ticket) throws (1: AException error)

  /** Liveness. Plain, and over a channel for every partner. */
  PingResponse ping(1: PingRequest request) throws (1: AException error)

  /** Pairing (docs/protocol.md, section 6). Plain, over TLS only. Errors 1201 to 1204. */
  PairResponse pair(1: PairRequest request) throws (1: AException error)

  /** Bind this connection to a session (docs/protocol.md, section 3). Plain; whatever follows is sealed. Error 1105. */
  AttachResponse attach(1: AttachRequest request) throws (1: AException error)

  /** Where the caller's pairing stands. Any pending or active partner; error 1107 tells every other state. */
  PairingStatus getPairing() throws (1: AException error)

  /** The answering cloud's identity certificates. Any active partner. */
  TrustBundle getTrustBundle() throws (1: AException error)

  /** The caller announces its next identity. Any active partner, over a channel of the old key. Errors 1301 to 1303. */
  RotationReceipt updateIdentity(1: RotationStatement statement) throws (1: AException error)

  /** The caller ends the trust; the answering cloud revokes the caller as a partner. Any partner. */
  void endTrust(1: TrustEnd reason) throws (1: AException error)

  /** Is this token of yours valid? The answering cloud asks its Keystone now. Consumers. Errors 400, 1402. */
  TokenValidation validateTokenHard(1: ValidateTokenRequest request) throws (1: AException error)

  /** The same from short-lived knowledge, without the body and without a call to Keystone. Consumers. Errors 400, 1402. */
  TokenValidation validateTokenSoft(1: ValidateTokenRequest request) throws (1: AException error)

  /** Log in at the answering cloud's Keystone with the user's own credentials. Consumers, where switched on. Errors 400, 429, 1401, 1403, 1501 to 1503. */
  IssuedToken authenticate(1: AuthenticateRequest request) throws (1: AException error)

  /** Services that the answering cloud exports, at most 1,000. Consumers. Errors 400, 1501 to 1503. */
  list<ServiceInfo> getServices(1: ServiceFilter filter) throws (1: AException error)

  /** Endpoints that the answering cloud exports, at most 1,000. Consumers. Errors 400, 1501 to 1503. */
  list<EndpointInfo> getEndpoints(1: EndpointFilter filter) throws (1: AException error)

  /** End a token of the answering cloud. Consumers. Errors 400, 1402, 1501 to 1503. */
  RevokeTokenResult revokeToken(1: RevokeTokenRequest request) throws (1: AException error)

  /** Revocations of the answering cloud's tokens, as they happen (long poll). Consumers. Error 400. */
  RevocationPage getRevocations(1: RevocationQuery query) throws (1: AException error)

  /** The caller has new revocations; whoever follows them reads them now. Providers. */
  oneway void popToken(1: RevocationNotice notice)

  /** The caller issued a token; whoever meets it may ask the caller. Providers that were asked to. */
  oneway void pushToken(1: TokenAnnouncement announcement)

  /** Whose token is it? Proves that the answering cloud issued or validated it, without telling it. Consumers. Error 400. */
  TokenClaim claimToken(1: TokenClaimRequest request) throws (1: AException error)

  /**
   * Make a project for the caller's users, within this cloud's limits (docs/protocol.md, section 10). Consumers, where switched on.
   * Errors 400, 429, 1404 to 1407, 1501 to 1503.
   */
  ProvisionedProject provision(1: ProvisionRequest request) throws (1: AException error)

  /** Remove a project that provision made for the caller. Consumers. Errors 429, 1407, 1501 to 1503. */
  void deprovision(1: DeprovisionRequest request) throws (1: AException error)

  /** Exchange signed heads of both audits. Any active partner. Errors 400, 1103. */
  AuditCheckpoint exchangeCheckpoint(1: AuditCheckpoint checkpoint) throws (1: AException error)

  /** Images that the answering cloud shows the caller (docs/protocol.md, section 11). Consumers. Errors 400, 429, 1403, 1711 to 1713, 1721. */
  ImagePage listImages(1: ImageQuery query) throws (1: AException error)

  /** One of them. Consumers. Errors 400, 429, 1403, 1701, 1711 to 1713, 1721. */
  Image getImage(1: ImageReference image) throws (1: AException error)

  /** A part of the content of one of them. Consumers. Errors 400, 429, 1403, 1701, 1702, 1711 to 1713, 1721. */
  ImageData readImageData(1: ImageRange range) throws (1: AException error)

  /** Make an image that is the caller's, without content. Consumers, where switched on. Errors 400, 429, 1403, 1702 to 1704, 1711 to 1713, 1721. */
  Image createImage(1: NewImage image) throws (1: AException error)

  /** A part of the content of an image that createImage made. Consumers. Errors 400, 429, 1403, 1701 to 1706, 1711 to 1713, 1721. */
  ImageReceipt writeImageData(1: ImageWrite chunk) throws (1: AException error)

  /** Change an image that createImage made. Consumers. Errors 400, 429, 1403, 1701 to 1703, 1711 to 1713, 1721. */
  Image updateImage(1: ImageUpdate update) throws (1: AException error)

  /** Delete an image that createImage made, whether it is there or not. Consumers. Errors 400, 429, 1403, 1702, 1703, 1711 to 1713, 1721. */
  void deleteImage(1: ImageReference image) throws (1: AException error)
}
