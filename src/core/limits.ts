/**
 * Every bound of the house, by subject. Sizes are bytes, times are milliseconds, rates are per second, unless the name says
 * otherwise. Those that an operator may change appear under `limits` in the configuration, with these values as defaults.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Points in time that are stored or shown: from 1970 on those that ISO 8601 writes with a year of four digits. */
export const timeLimits = {
  latestMs: Date.parse('9999-12-31T23:59:59.999Z'),
} as const;

/** Frames, messages and connections (docs/protocol.md, section 5). */
export const wireLimits = {
  plainFrameBytes: 16 * KIB,
  sealedFrameBytes: 4 * MIB,
  /** Structs and containers within each other, also in unknown fields. */
  nestingDepth: 32,
  /** Elements of one list, set or map. */
  containerElements: 100_000,
  /** A string or binary within a sealed message; a plain one is bounded by its frame. */
  stringBytes: 4 * MIB,
  methodNameBytes: 64,
  /** Text of an error, sent or received. */
  errorMessageBytes: 512,
  requestIdBytes: 64,
  /** Longest wait before a retry that is told or believed. */
  retryAfterMs: HOUR,
  /** A batch of sealed messages is sent as soon as it holds this much. */
  batchBytes: 256 * KIB,
  /** What is read at once from a socket that dialled; one buffer serves all of them. */
  readBytes: 256 * KIB,
  /** Buffers from this size on are used again, in steps of so many bytes; of those that wait for it no more is kept than this, in all. */
  pooledFromBytes: 64 * KIB,
  pooledStepBytes: 128 * KIB,
  pooledBytes: 16 * MIB,
  /** Above this much unsent output a connection is no longer read from. */
  unsentBytes: 4 * MIB,
  /** The same as long as the peer has not proved to hold a channel's keys: strangers are many. */
  plainUnsentBytes: 64 * KIB,
  /** A peer that has not taken all the output of a full connection after this long is closed. */
  drainTimeoutMs: 30 * SECOND,
  plainDrainTimeoutMs: 5 * SECOND,
  /** How long a connection that we ended waits for the peer's end, so that our last answer is not lost to a reset. */
  lingerMs: 500,
  /** Messages of one connection that are delivered in one turn of the event loop; then the others have theirs. */
  messagesPerTurn: 256,
} as const;

/** Where `findFreePort` looks: above what services are used to, below what systems take for outgoing connections. */
export const freePortLimits = {
  first: 20_000,
  last: 32_767,
  attempts: 50,
} as const;

export const connectionLimits = {
  total: 4096,
  perAddress: 128,
  inFlightPerConnection: 256,
  handshakeCallsPerConnection: 4,
  tlsHandshakeTimeoutMs: 5 * SECOND,
  plainIdleMs: 10 * SECOND,
  plainTotalMs: 30 * SECOND,
  plainPingTotalMs: 10 * MINUTE,
  channelIdleMs: 10 * MINUTE,
  confirmTimeoutMs: 5 * SECOND,
  drainOnShutdownMs: 10 * SECOND,
  /** Plain calls per address and second; 0 switches the limit off. */
  unauthenticatedPerS: 50,
  unauthenticatedBurst: 200,
  /** Pings per address and second on other than loopback binds; 0 switches the limit off. */
  pingsPerS: 100,
  /** A connection is not read from for as long as a refusal for its rate tells to wait, but at least and at most for so long. */
  refusedPauseMinMs: 50,
  refusedPauseMaxMs: 5 * SECOND,
  /** Calls of a plain connection that are refused for their rate; with the next one it is closed. */
  refusedCallsPerConnection: 16,
  /** TLS handshakes per address and second, before anything is computed for them; off with `unauthenticatedPerS`. */
  tlsHandshakesPerS: 50,
  tlsHandshakesBurst: 200,
  /** Addresses that rate limits remember; the oldest are forgotten first. */
  trackedAddresses: 65_536,
  /** Origins of refusals that the log remembers, and the pause between two lines about one of them. */
  trackedRefusals: 4096,
  refusalLogMs: MINUTE,
} as const;

/** What one partner may use of us, unless configuration says otherwise. */
export const partnerLimits = {
  callsPerS: 2000,
  callsBurst: 4000,
  inFlight: 512,
  bytesPerS: 512 * MIB,
  /** Sent bytes are charged as soon as there are so many; fewer together with what is received next. */
  chargeBytes: 64 * KIB,
  channels: 64,
  keystoneConcurrency: 8,
  handshakesPerS: 1,
  handshakesBurst: 10,
  /** Partners, and users of each, that rate limits remember. */
  trackedPartners: 65_536,
  trackedUsers: 8192,
} as const;

export const sessionLimits = {
  ticketBytes: 4 * KIB,
  skewMs: MINUTE,
  lifeMs: 10 * HOUR,
  /** What an initiator accepts at most from a responder. */
  maxLifeMs: 24 * HOUR,
  replayMs: 10 * MINUTE,
  livePerPartner: 8,
  continuityPerPartner: 8,
  /** Beside those, for as long as a session that was just agreed may wait for its first channel. */
  pendingPerPartner: 16,
  pendingMs: 5 * SECOND,
  continuityMs: 30 * DAY,
  fallbackEveryMs: MINUTE,
  renewAtShare: 0.8,
  refusalDelayMs: 50,
  signQueue: 64,
} as const;

export const channelLimits = {
  frames: 2 ** 32,
  plaintextBytes: 64 * 1024 * MIB,
  /** Share of life or use after which the initiator opens the successor. */
  renewAtShare: 0.75,
} as const;

export const pairingLimits = {
  tokenBytes: 8 * KIB,
  cardBytes: 8 * KIB,
  /** A compact JWS of alliance-pair. */
  signatureBytes: 4 * KIB,
  endpoints: 8,
  endpointBytes: 300,
  ttlMs: 15 * MINUTE,
  maxTtlMs: 7 * DAY,
  openInvitations: 1000,
  pollMs: 5 * SECOND,
} as const;

export const identityLimits = {
  /** So that it fits a pairing card, as base64url and beside eight endpoints. */
  certificateBytes: 4 * KIB,
  certificateDays: 3650,
  rsaBits: 3072,
  overlapMs: 30 * DAY,
  defaultOverlapMs: 7 * DAY,
  bundleRefreshS: 300,
  /** The current one and, during a rotation, another. */
  bundleCertificates: 2,
  warnDays: [30, 7, 1],
} as const;

export const trustLimits = {
  epochPollMs: 500,
  databaseLossMs: 5 * SECOND,
} as const;

export const clientLimits = {
  connectTimeoutMs: 5 * SECOND,
  callTimeoutMs: 30 * SECOND,
  /** For each call of the handshake: an endpoint that is dumb must leave time for the next one. */
  handshakeTimeoutMs: 5 * SECOND,
  channelsPerPartner: 4,
  /** Calls in flight on every open channel before the pool opens another. */
  inFlightBeforeGrowth: 128,
  inFlight: 4096,
  backoffInitialMs: 100,
  backoffMaxMs: 30 * SECOND,
  breakerFailures: 5,
  breakerOpenMs: 5 * SECOND,
} as const;

export const keystoneLimits = {
  connectTimeoutMs: 5 * SECOND,
  requestTimeoutMs: 15 * SECOND,
  bodyBytes: 1 * MIB,
  concurrency: 32,
  queue: 1024,
  retries: 2,
  /** The broker's own token is renewed this long before it expires. */
  renewBeforeMs: 2 * MINUTE,
  listItems: 1000,
  /** Idle connections are given up before gunicorn (2 s) and Apache (5 s) close them under a request. */
  keepAliveMs: 1.5 * SECOND,
  /** Before the first retry, doubled for each further one, with jitter. */
  retryBackoffMs: 100,
  /** A longer Retry-After is passed on instead of waited for. */
  retryAfterMaxMs: 2 * SECOND,
  /** After a refused login of the broker's own user, no other is tried for this long. */
  refusedPauseMs: 5 * SECOND,
  /** Longest wait of a partner's request for its turn; with `requestTimeoutMs` still less than a caller's `callTimeoutMs`. */
  partnerWaitMs: 10 * SECOND,
  /** A text that services or endpoints are filtered by. */
  filterBytes: 255,
  /** A look at Keystone that readiness tells of; slower ones count as no answer. */
  lookTimeoutMs: 5 * SECOND,
  /** Pause between looks while the broker's own user is refused: Keystone may lock a user after too many failures. */
  lookAfterRefusalMs: 5 * MINUTE,
} as const;

export const tokenLimits = {
  tokenBytes: 8192,
  softCacheEntries: 10_000,
  softCacheMs: MINUTE,
  negativeCacheMs: 5 * SECOND,
  passwordBytes: 4 * KIB,
  nameBytes: 255,
  /** Logins per partner and user. */
  authenticatePerMinute: 5,
  /** Logins per partner, of all its users. */
  authenticatePerMinutePerPartner: 60,
  /** A login is refused so long after it came: longer than Keystone usually takes, whatever it found. */
  refusalDelayMs: 500,
  /** Absolute age of what is remembered of a foreign token. */
  foreignCacheMs: MINUTE,
  foreignCacheEntries: 50_000,
  /** Longest age of an answer that an operator may let count while its issuer cannot be reached. */
  staleMs: DAY,
} as const;

/** Tokens of partners: recognising, asking, remembering. */
export const foreignLimits = {
  /** Of a token's body, which comes without a catalog. */
  bodyBytes: 128 * KIB,
  /** Roles, methods, audit ids and groups of one token together. */
  bodyItems: 1000,
  /** Values of all kinds in it, and how many within each other: small ones take a hundred times the memory of their text. */
  bodyNodes: 5000,
  bodyDepth: 16,
  /** Of an id or a name in it. */
  bodyTextCharacters: 255,
  /** Access rules of the application credential. */
  accessRules: 100,
  /** What is remembered of bodies, in all, as memory holds it; where it is full, the partner with the most of it gives way. */
  cacheBytes: 256 * MIB,
  /** What is read of a body takes as much as its texts again, twice, and about this much for each value and for itself. */
  nodeBytes: 64,
  entryBytes: 2 * KIB,
  /** Refusals that are remembered; apart from what is good, so that guessing pushes nothing good out. */
  negativeEntries: 50_000,
  /** Tokens of which it is remembered whose they are. */
  routes: 100_000,
  /** An answer counts only while the issuer's revocations are known to be complete up to this long ago. */
  confirmedMs: 5 * SECOND,
  /** What has ended is taken out of the cache this often. */
  sweepMs: 5 * SECOND,
  /** For one question to the issuer. */
  askMs: 15 * SECOND,
  /** A partner is silent after so many questions in a row that took this long and led to nothing: then it is asked one at a time. */
  silentQuestions: 3,
  silentMs: 5 * SECOND,
  /** For one question whether a partner knows a token. */
  claimMs: 2 * SECOND,
  /** A partner that has told nothing for so long, however often it was asked, keeps no unknown token undecided. */
  absentMs: MINUTE,
  /** Silence is no longer one where nobody asked for so long. */
  unaskedMs: 10 * MINUTE,
  /** Partners that are asked so at a time. */
  claimsAtOnce: 16,
  /** Searches among partners for the issuers of tokens that nobody here knows: of one caller, and in all, which is less than `claimsPerS`. */
  searchesPerCallerPerS: 20,
  searchesPerCallerBurst: 40,
  searchesPerS: 160,
  searchesBurst: 320,
  /** Callers whose searches are counted. */
  searchers: 10_000,
  /** Time for verifying signatures of tokens, ms in each second and at most at once. */
  verifyMsPerS: 200,
  verifyMsBurst: 400,
  /** Callers that wait for answers of issuers, in all. */
  askers: 8192,
  /** A question that was asked longer ago than this nobody joins; one more is asked beside it. */
  joinMs: 5 * SECOND,
  /** Equal questions under way at a time. */
  questionsAlike: 4,
  /** What a caller is told to wait where nobody can say. */
  retryAfterMs: SECOND,
} as const;

/** Keys that Keystones sign JWS tokens with. */
export const tokenKeyLimits = {
  /** That one partner may publish, and of those the ones that are used, the newest: each is tried with every token. */
  keys: 16,
  usedPerPartner: 4,
  spkiBytes: 1 * KIB,
  /** How long the files of our own ones count as read. */
  readMs: 10 * SECOND,
  /** Files of the directory that are looked at. */
  files: 256,
} as const;

/** Mappings of foreign users, and the values that they are fed. */
export const mappingLimits = {
  /** Of one mapping as JSON. */
  bytes: 64 * KIB,
  rules: 500,
  /** Of any list within a rule. */
  listItems: 1000,
  textCharacters: 1024,
  patternCharacters: 512,
  /** Of one attribute of a foreign token. */
  values: 1000,
  /** Of one value, and of every name that a mapping yields. */
  valueCharacters: 255,
} as const;

/** What is remembered of this cloud's projects, roles and catalog while foreign users are given theirs. */
export const localiseLimits = {
  knownMs: 30 * SECOND,
  /** What was not there is looked for again after this long. */
  missingMs: 5 * SECOND,
  /** Of one kind, for each partner. */
  entries: 2000,
  /** Projects and groups that are looked up for one token. */
  places: 32,
  /** For everything that this cloud's Keystone is asked for one token. */
  deadlineMs: 12 * SECOND,
  /** A partner's endpoints for the catalog of its own users. */
  remoteEndpointsMs: MINUTE,
  /** How long one waits for them before the catalog goes without. */
  remoteEndpointsWaitMs: 2 * SECOND,
} as const;

/** Revocations of tokens: what this cloud reads of its Keystone and tells, and what it follows of its partners. */
export const revocationLimits = {
  /** How often Keystone is asked for new ones; after failures the pause grows. */
  pollMs: SECOND,
  pollMaxPauseMs: 30 * SECOND,
  /** Between two questions, however often somebody wants to know at once. */
  pollMinPauseMs: 100,
  /** Of several processes of a broker one asks; the next one takes over after this long. */
  leaseMs: 5 * SECOND,
  /** Each question reaches back so far behind the newest event known: clocks of several Keystones differ, and events come late. */
  overlapMs: MINUTE,
  /** What was seen is remembered at least so long and at most so many, so that it is told once. */
  seenMs: 10 * MINUTE,
  seen: 100_000,
  /** Of Keystone's list, which has no pages. */
  listBytes: 16 * MIB,
  appendRows: 500,
  /** Of one page of getRevocations, and the longest wait for it. */
  pageRows: 1000,
  maxWaitMs: 30 * SECOND,
  /** Calls of getRevocations of one partner at a time, and their rate. */
  readersPerPartner: 4,
  readsPerS: 25,
  readsBurst: 200,
  /** What we wait for at a partner: short enough that heads are confirmed every two seconds. */
  waitMs: SECOND,
  /** For an answer on top of the wait. */
  answerMs: 5 * SECOND,
  /** Between two questions to a partner that answers before its time without anything to tell, or little by little. */
  emptyPauseMs: 500,
  fewPauseMs: 50,
  retryMinMs: 250,
  retryMaxMs: 5 * SECOND,
  marksPerPartner: 100_000,
  /** Memory for marks, as far as it can be reckoned: of one partner, and of all. */
  bytesPerPartner: 64 * MIB,
  bytes: 256 * MIB,
  /** What a mark takes beside the texts in it. */
  markBytes: 512,
  /** Marks that no index tells apart. */
  marksAlike: 1000,
  /** Longest life of a token that is reckoned with, and Keystone's window for expired ones on top of it. */
  markMs: 7 * DAY + 2 * DAY,
  skewMs: MINUTE,
  saveEveryMs: SECOND,
  /** Between two notices to one partner. */
  noticeEveryMs: 200,
  /** How long a partner that read is told of what is new. */
  readerMs: MINUTE,
} as const;

/** Tokens by hash: those that were announced, and those that partners may ask about. */
export const hintLimits = {
  /** Of this cloud, that it was seen to issue; in memory and in the database. */
  ownTokens: 10_000,
  /** Others of this cloud that partners have shown; in memory only. */
  seenTokens: 10_000,
  /** Stored ones that are opened before anybody else has a turn. */
  openedAtOnce: 250,
  /** So long after their expiry own tokens are still known to be that: no less than Keystone validates them for who asks so. */
  keepExpiredMs: 2 * DAY,
  /** No token lives longer: of those from before it, nothing has to be known. */
  lifeMs: DAY,
  /** What was learnt is stored after this long. */
  saveMs: 500,
  announcedPerPartner: 10_000,
  /** A partner that does not ask for so long costs nothing more. */
  askerMs: 10 * MINUTE,
  /** Of one partner. */
  claimsPerS: 200,
  claimsBurst: 400,
  /** Announcements to one partner that wait to be sent. */
  waiting: 1000,
} as const;

/** Projects that partners have made here. */
export const provisionLimits = {
  requestIdBytes: 64,
  /** Keystone's own bound, in characters. */
  nameBytes: 64,
  idBytes: 255,
  roles: 16,
  roleBytes: 255,
  /** Requests of one partner, repeats included: at once, and then one in so long. */
  burst: 60,
  everyMs: 15 * SECOND,
  /** Requests of ours to one partner that are remembered. */
  outgoing: 10_000,
  /** A removal is announced this long before, or at once where the whole life is shorter. */
  noticeMs: 3 * DAY,
  /** After the end of the trust in its partner a project is switched off at once and removed after this long. */
  graceMs: 7 * DAY,
  /** So long after we last heard of a project that a partner made for us we ask whether it is there; one at a time. */
  confirmMs: DAY,
  /** One that is over by our clock counts as gone this long later, also where its partner does not say so; as long as `noticeMs`. */
  presumedGoneMs: 3 * DAY,
  /** A request that was left half done is looked after this long after the last attempt. */
  healMs: MINUTE,
  /** And given up after this long, where no project came of it. */
  abandonMs: HOUR,
  /** So long a late repeat of a request finds that its project was removed. */
  rememberMs: 30 * DAY,
  /** Of so many, for each partner. */
  remembered: 200,
  /** Of several processes of a broker one looks after them; the next one takes over after this long. */
  leaseMs: 2 * MINUTE,
} as const;

/** Settings of keystonemiddleware in services of this cloud. Times are seconds, as there. */
export const authTokenLimits = {
  /** Of a configuration file; samples with all comments have half a megabyte. */
  fileBytes: 4 * MIB,
  /** The middleware's own default of token_cache_time. */
  defaultCacheS: 300,
  adviceCacheS: 10,
  /** A longer one is worth a warning. */
  goodCacheS: 30,
} as const;

/** Bytes on their way from one place to another: images, and objects later. */
export const transferLimits = {
  /** What is read ahead is kept in pieces of this size, and so many of them at most for each transfer. */
  pieceBytes: 1 * MIB,
  piecesAhead: 8,
  /** Nothing came, or nothing was taken, for so long: it is broken. */
  idleMs: MINUTE,
  /** Attempts in a row to read on that bring next to nothing. */
  resumes: 5,
  /** Attempts in all at a request, and at an image. */
  attempts: 4,
  /** The pause before the second of any attempts; it doubles, with jitter. */
  retryMs: 500,
  retryMaxMs: 15 * SECOND,
  /** Between two notices of progress of one transfer. */
  progressMs: 250,
  /** Bandwidth: entries of a timetable, the least rate, and how often the timetable is looked at. */
  timetableEntries: 48,
  leastBytesPerS: 1 * KIB,
  timetableMs: 15 * SECOND,
  /** What may flow at once after a pause, in ms of the rate. */
  burstMs: 250,
} as const;

/** Runs of syncs, and what is kept of them. */
export const syncLimits = {
  /** Of several processes one works on a region; the next one takes over after this long. */
  leaseMs: 15 * SECOND,
  /** How often the runner says that it lives, and looks whether it is to stop. */
  touchMs: 3 * SECOND,
  /** An execution whose runner was silent for so long is broken, wherever it ran. */
  silentMs: MINUTE,
  /** Executions that are remembered, and for how long after their end. */
  executions: 1000,
  executionsMs: 90 * DAY,
  /** How many are listed where nobody says. */
  listed: 100,
  /** A listing that has shrunk by more than this share is suspicious. */
  shrinkShare: 0.5,
  /** So is a plan that replaces or puts aside so many images, if they are more than this share of those that are there. */
  retiredAtLeast: 4,
  retiredShare: 0.5,
  /** A request whose answer was lost is carried out within this time, if at all. */
  settleMs: MINUTE,
  /** What this installation has begun and its journal does not know any more goes after this long. */
  strayMs: DAY,
  /** For taking back what a run has begun, when the run itself is to end. */
  undoMs: 30 * SECOND,
  /** Images at a time in each region, at most. */
  imagesParallel: 16,
  /** Transfers at a time in a run, of all regions: fewer than the connections to one Glance, for each holds one of the source's. */
  transfers: 24,
  /** Attempts at sending one image within a run. */
  imageAttempts: 3,
  /** Of a reason that is written down. */
  reasonCharacters: 2000,
} as const;

export const storeLimits = {
  busyTimeoutMs: 5 * SECOND,
  leaseMs: 15 * SECOND,
  feedPageRows: 1000,
  feedWaitMs: 30 * SECOND,
  feedPayloadBytes: 64 * KIB,
  feedSubjectBytes: 255,
  /** How often waiting readers look for entries that other processes appended. */
  feedPollMs: 500,
  feedKeepMs: 30 * DAY,
  feedRows: 1_000_000,
  /** How far sequences leap after a restore: further than anything given out since the backup. */
  feedRestoreLeap: 2 ** 40,
  /** How long we keep trying to tell a removed partner that it was removed. */
  noticeMs: 30 * DAY,
  /** The longest pause between two attempts to get the lock that another process holds. */
  busyPauseMs: 25,
  preparedStatements: 256,
  /** Larger databases are not read through at start; `alliance restore` always does. */
  checkAtOpenBytes: 64 * MIB,
} as const;

export const auditLimits = {
  keepDays: 400,
  /** Acts that wait for their record. */
  queue: 10_000,
  /** Waiting records that share one transaction. */
  batch: 256,
  detailsBytes: 64 * KIB,
  /** Actor, subject, outcome, rule and the like. */
  wordBytes: 1024,
  pageRows: 1000,
  /** Records that are verified, or removed, before anybody else has a turn. */
  turnRows: 200,
  /** Older records that a running broker verifies again in each round of its audit task, until it is through and begins anew: so many, or one share of all of them where that is more. */
  walkRows: 100_000,
  walkRounds: 24,
  /** Nothing is removed unless a checkpoint shows that the clock stood so long ago where it should have; half of keep_days where that is less. */
  settleMs: 7 * DAY,
  /** No checkpoint is signed while the last one is further ahead of the clock. */
  aheadMs: MINUTE,
  /** What others can make happen as often as they like is recorded at most so often for each partner and outcome. */
  repeatMs: 10 * MINUTE,
  repeatsTracked: 10_000,
  /** Equal answers about a foreign token have one record, and then one in so long with their number. */
  validationWindowMs: 5 * MINUTE,
  validationSweepMs: 10 * SECOND,
  /** Answers of which equal ones are counted, in number and as memory; where that is full, the partner with the most of them gives way. */
  validations: 20_000,
  validationsBytes: 64 * MIB,
  /** What validations of one partner's tokens may take of the audit, those with access and those without each: 1.4 GB a day. */
  validationBytesPerS: 16 * KIB,
  validationBurstBytes: 32 * MIB,
  /** Of that, for each of its users. */
  validationUserShare: 1 / 8,
  /** What a record takes in the database beside its text. */
  rowBytes: 256,
  /** Names of the roles, and ids of the groups, of a foreign user: what goes beyond is cut. */
  subjectListBytes: 4 * KIB,
  /** A checkpoint that another one overtook is no fault; an older one is. */
  overtakenMs: MINUTE,
  /** A line of an exported file. */
  lineBytes: 256 * KIB,
  /** Days of which a statement of each partner about both audits is kept, besides the first and the latest. */
  statementDays: 400,
  /** How long a fault in a partner's checkpoints, and what a restore has lost, is shown. */
  alarmMs: 7 * DAY,
} as const;

export const httpLimits = {
  bodyBytes: 64 * KIB,
  headerBytes: 16 * KIB,
  requestTimeoutMs: 10 * SECOND,
  connections: 256,
} as const;

/** The Keystone-compatible face for the services of this cloud. */
export const facadeLimits = {
  /** Two qualified tokens of the longest form, and what else clients send. */
  headerBytes: 32 * KIB,
  requestBytes: 1 * MIB,
  /** Of a request that has come in as a whole before Keystone hears of it; more than Keystone itself takes by default (112 KiB). */
  wholeBytes: 128 * KIB,
  /**
   * Bodies still coming in: of one address, which may be a proxy for many, and in all, less than `handedInFlight`. Beyond that the one
   * that has been on its way for longest is given up.
   */
  bodiesPerAddress: 128,
  bodies: 384,
  /** The same of those that are handed on while they come in, fewer than the connections for them. */
  streamsPerAddress: 16,
  streams: 48,
  /** Of an answer that is read as a whole, because URLs in it are rewritten. */
  answerBytes: 4 * MIB,
  /** Of an error that is read to see whether Keystone itself gave it. */
  errorBytes: 64 * KIB,
  headersTimeoutMs: 10 * SECOND,
  /** For a whole request, body included. */
  requestTimeoutMs: 15 * SECOND,
  /** A connection on which nothing moves, in either direction, is closed; more than Keystone may take to answer. */
  idleTimeoutMs: 90 * SECOND,
  keepAliveMs: 65 * SECOND,
  /** How often the time-outs above are looked at. */
  checkEveryMs: SECOND,
  /** More than all requests that there is room for: one of them is always idle. */
  connections: 8192,
  /** Of one address, which may be a proxy for many. */
  connectionsPerAddress: 1024,
  /**
   * Room for requests: questions about tokens by callers that Keystone knows, and by others; what waits for partners; what is remembered
   * of partners' tokens, which the mapping may have to look things up for; everything else. One
   * address, or one partner and of that one caller, has half of what others have left. Half a thousand about one token are no attack.
   */
  knownInFlight: 1024,
  strangersInFlight: 1024,
  foreignInFlight: 2048,
  rememberedInFlight: 2048,
  handedInFlight: 576,
  /** To Keystone, for each kind of request: questions about tokens, logins, and everything else. */
  upstreamConnections: 64,
  /** How long Keystone may take to begin its answer, and between two pieces of it. */
  upstreamTimeoutMs: 60 * SECOND,
  /** For one question whether a caller may validate tokens. */
  callerTimeoutMs: 15 * SECOND,
  callerMs: 10 * SECOND,
  callers: 10_000,
  /** A caller that Keystone knew is no stranger for this long. */
  metMs: 10 * MINUTE,
  /** So long it is not asked again whether it knows one whom it did not. */
  refusedMs: SECOND,
  /** How often one question is decided, where what it was decided by has ended before it was answered. */
  decisions: 3,
  retryAfterMs: SECOND,
} as const;

/** Signed texts (JWS in compact form), and the keys that sign them. */
export const signatureLimits = {
  compactBytes: 4 * KIB,
  /** A rotation carries a certificate, base64 within base64. */
  rotationBytes: 20 * KIB,
  /** Larger RSA keys cost a verifier more than a handshake may. */
  rsaBits: 8192,
} as const;

/** Files that an operator gives us. */
export const fileLimits = {
  /** A token, password, mapping, or key of a command line; a file with one secret. */
  inputBytes: 64 * KIB,
  /** A key, or a certificate with those above it. */
  pemBytes: 64 * KIB,
  /** alliance.yaml, clouds.yaml. */
  configBytes: 1 * MIB,
  /** All authorities that a system trusts. */
  authoritiesBytes: 4 * MIB,
  chunkBytes: 64 * KIB,
  /** How long a pipe is waited for that nobody has opened to write. */
  writerMs: 5 * SECOND,
  /** And one out of which nothing more comes: somebody may be typing a passphrase at its other end. */
  silenceMs: 2 * MINUTE,
  pollMs: 20,
} as const;

/** Images between regions: what is read of files and conditions, and how much of it. */
export const imageLimits = {
  /** Of a condition, or of the properties of one image in a file. */
  expressionCharacters: 64 * KIB,
  expressionDepth: 100,
  /** A glancesync.conf, and how often one of its values may lead to another. */
  configBytes: 1 * MIB,
  interpolationDepth: 10,
  /** How often that happens in one file, how many values its sections inherit from DEFAULT together, and how long a name may be. */
  interpolations: 10_000,
  inheritedValues: 100_000,
  optionCharacters: 255,
  /** The images of one region in a directory of scenarios. */
  scenarioBytes: 64 * MIB,
  /** Regions at a time, at most. */
  parallel: 64,
  /** Images at a time in each region, where nothing else is said. */
  imagesAtOnce: 4,
  /** Listings at a time, of those that nothing is sent after. */
  listingsAtOnce: 8,
} as const;

/** Syncs that a running broker does by itself (`images.policies`), and what is written down of executions. */
export const imagePolicyLimits = {
  /** Regions, or names of images, of one policy. */
  words: 1000,
  /** Of several processes of a broker one runs a policy; the next one takes over after this long. Renewed three times in it. */
  leaseMs: 30 * SECOND,
  /** Between two listings of a region whose images are waited for. */
  eventMs: MINUTE,
  /**
   * One that follows events runs again so long after a run that came to nothing, or to a part; twice as long after each further one,
   * of which so many are counted (16 hours).
   */
  eventRetryMs: 15 * MINUTE,
  eventFailures: 7,
  /** Images whose state is remembered for one policy. */
  baselineImages: 100_000,
  /** Lines that are kept of the log of one execution, and of a page of it. */
  logLines: 20_000,
  logPageLines: 1000,
  logTextCharacters: 2000,
  /** Of a policy that the configuration no longer names nothing is remembered after this long; another broker may still have it. */
  rememberMs: 40 * DAY,
  /** What a log has to say is written down so long after the first line of it, or as soon as it is so much. */
  logFlushMs: SECOND,
  logFlushLines: 200,
  /** Regions that metrics tell apart; a partner may have as many as it likes. */
  metricRegions: 200,
  /** A broker that stops waits so long for its syncs to note where they are. */
  stopMs: 10 * SECOND,
  /** `alliance status` shows executions that ended badly for so long. */
  shownMs: 7 * DAY,
} as const;

/** REST as GlanceSync had it. */
export const imageRestLimits = {
  /** Requests at a time; of those the ones about whose tokens Keystone is asked, which partners need, too; and the ones that list regions. */
  inFlight: 32,
  asking: 4,
  listings: 4,
  /** Syncs that were asked for by REST, at a time. */
  running: 16,
  /** Of a region, an image or a task in a request. */
  nameCharacters: 255,
  retryAfterS: 5,
  /** For the listing of two regions. */
  listingMs: 5 * MINUTE,
} as const;

/** What is looked at of a disk image on its way. */
export const inspectionLimits = {
  /** Kept of the end: the footer of a streamed VMDK. */
  tailBytes: 1536,
  /** Descriptor of a VMDK; the usual ones have 10 KiB. */
  descriptorBytes: 128 * KIB,
  /** Region of the metadata of a VHDX. */
  metadataBytes: 1 * MIB,
  /** What QEMU reads of a text that it takes for a descriptor, and the parts in which it is looked at; the first one always. */
  textBytes: 1 * MIB,
  textPartBytes: 4 * KIB,
} as const;

/** One Glance, this cloud's or that of another Keystone. */
export const glanceLimits = {
  connectTimeoutMs: 5 * SECOND,
  /** For the answer to a request without an image's bytes. */
  requestTimeoutMs: MINUTE,
  /** Nothing of an image's bytes came, or was taken, for so long. There is no bound on the time that they take together. */
  idleTimeoutMs: MINUTE,
  /** For the answer after the last byte of an upload: a store may have to finish it. */
  storeTimeoutMs: 10 * MINUTE,
  /** How long an image may take from its last byte to `active`, and the pauses between looks at it, which double. */
  activeTimeoutMs: 30 * MINUTE,
  activePollMs: 100,
  activePollMaxMs: 5 * SECOND,
  /** Looks at it, one after the other, that may fail. */
  activeLookFailures: 5,
  /** To one region, for all but images' bytes; and for those, as they may last. */
  connections: 32,
  contentConnections: 64,
  /** How long a request waits for one of them. */
  connectionWaitMs: 15 * SECOND,
  keepAliveMs: 1.5 * SECOND,
  retries: 2,
  retryBackoffMs: 100,
  retryAfterMaxMs: 2 * SECOND,
  /** Of one page of a list. */
  pageBytes: 64 * MIB,
  pageImages: 500,
  /** A page that has more bytes is asked for again with this part of its images. */
  pageShrinks: 8,
  pages: 2000,
  /** A listing begins again when the image that its next page was to follow is gone, so often. */
  listingRestarts: 5,
  /** Of one image, its members, or an error. */
  bodyBytes: 4 * MIB,
  /** Characters of what Glance says of a refusal that are told. */
  messageCharacters: 300,
  /** How long a catalog counts as read. */
  catalogMs: MINUTE,
} as const;

/** Images of this cloud that a partner reads or makes, and those of partners that we do. */
export const partnerImageLimits = {
  /** Of one chunk of content, and how many of them are on their way at a time. */
  chunkBytes: 1 * MIB,
  chunksInFlight: 4,
  pageImages: 1000,
  /** Of a page, reckoned from its texts; the next image begins another. */
  pageBytes: 1 * MIB,
  /** Pages of one listing that are followed, of a partner that never comes to an end. */
  pages: 10_000,
  /** Of all of such a listing: images, their texts, and time. */
  listingImages: 100_000,
  listingBytes: 64 * MIB,
  listingMs: 15 * MINUTE,
  /** Listings that one partner is in the middle of, and how long one waits for its next page. */
  cursorsPerPartner: 4,
  cursorIdleMs: MINUTE,
  /** After that it begins anew, as what the partner made meanwhile is not in it. */
  cursorAgeMs: 10 * MINUTE,
  /** Pages that are put together for one partner at a time, and how long one may take; less than a caller's `callTimeoutMs`. */
  walksPerPartner: 4,
  walkMs: 25 * SECOND,
  regionBytes: 255,
  idBytes: 255,
  /** A name, a format, a tag or the key of a property. */
  textBytes: 255,
  tags: 128,
  properties: 256,
  valueBytes: 16 * KIB,
  /** Properties of one image that a partner makes: how many, and their keys and values as JSON. Listings of a whole cloud hold them. */
  ownProperties: 128,
  ownPropertiesBytes: 64 * KIB,
  hashValueBytes: 256,
  /** Contents that one partner reads at a time; each keeps so much that it may be asked for again, and reads so much ahead. */
  readsPerPartner: 8,
  readBehindBytes: 4 * MIB,
  readAheadBytes: 4 * MIB,
  readIdleMs: 30 * SECOND,
  /**
   * Contents that partners read or write hold connections to Glance, so they get on, over each such period: with less than one chunk of
   * content in a call's time nobody gets anywhere. One that reads more slowly has its connections ended with each answer for a while.
   */
  leastBytesPerS: 16 * KIB,
  leastRateMs: MINUTE,
  slowMs: 10 * MINUTE,
  /** So long an image counts as it was seen, while its content is read. */
  knownMs: 2 * SECOND,
  /** Contents that one partner writes at a time; of each, so much waits for Glance before the partner has to wait, and never more than that. */
  uploadsPerPartner: 8,
  uploadWindowBytes: 8 * MIB,
  uploadHeldBytes: 16 * MIB,
  /** The same in chunks, however small: each costs more than its bytes. */
  uploadWindowChunks: 512,
  uploadHeldChunks: 1024,
  /** One that the partner does not go on with is given up. */
  uploadIdleMs: 2 * MINUTE,
  /** That a partner is at an image is noted this often. */
  touchMs: 10 * MINUTE,
  /** How long the answer to the last chunk waits for Glance; less than a caller's `callTimeoutMs`. */
  finishWaitMs: 20 * SECOND,
  /** Requests to Glance on behalf of one partner: at a time, waiting, and how long. */
  concurrency: 8,
  waiting: 256,
  waitMs: 10 * SECOND,
  /** What we hold of answers that one partner has not taken, and of chunks that it waits for answers to; what one image counts as. */
  heldBytes: 48 * MIB,
  imageBytes: 64 * KIB,
  /** Images that one partner makes, changes or deletes. */
  changesPerS: 20,
  changesBurst: 1000,
  /** Changes of one image that wait for the one under way. */
  turnsWaiting: 16,
  /** An image whose content has not come for so long is removed. */
  openKeepMs: DAY,
  /** One that is not there is forgotten, but not while it may just be made. */
  goneMs: 10 * MINUTE,
  leaseMs: 10 * MINUTE,
  /** Ours at a partner: how often the way to it may be lost in a row, and the pauses between. */
  retries: 10,
  retryMinMs: 200,
  retryMaxMs: 5 * SECOND,
  /** How often in a row it may say that it has not what it was sent, and what goes again for that, beside once the whole content. */
  shortReceipts: 3,
  againBytes: 16 * MIB,
  /** How often we ask whether an image is active, and for how long. */
  pollMinMs: 200,
  pollMaxMs: 5 * SECOND,
  pollMs: HOUR,
} as const;

/** Pauses between the runs of what a broker does by itself. */
export const taskLimits = {
  housekeepingMs: MINUTE,
  pairingMs: 2 * SECOND,
  noticeMs: 30 * SECOND,
  noticeTimeoutMs: 5 * SECOND,
  /** The longest pause between two attempts to tell a partner, which grow with the time since the end of the trust. */
  noticePauseMaxMs: HOUR,
  /** A partner that was not told of the end of a trust for this long is not told any more. */
  noticeGiveUpMs: 7 * DAY,
  rotationMs: 5 * SECOND,
  newPartnerMs: 5 * SECOND,
  bundleMs: 5 * MINUTE,
  checkpointMs: HOUR,
  provisionMs: 30 * SECOND,
  partnerImagesMs: HOUR,
  policyMs: 5 * SECOND,
  /** Looks at this cloud's Keystone. */
  keystoneMs: MINUTE,
} as const;
