/**
 * Every key of `alliance.yaml`, once: its form, its default and what it means. Environment variables, the reference in the docs
 * and the hints on unknown keys are all derived from here. How to add a key: CONTRIBUTING.md.
 */
import { z } from 'zod';
import { imagePolicy } from './configPolicies.ts';
import { formatEndpoint, parseEndpoint, parseHostPort, parseNetwork, parseUrl } from './endpoint.ts';
import { AllianceError } from './errors.ts';
import { type CloudId, parseCloudId } from './ids.ts';
import {
  auditLimits,
  connectionLimits,
  facadeLimits,
  imageLimits,
  keystoneLimits,
  pairingLimits,
  partnerLimits,
  provisionLimits,
  tokenLimits,
} from './limits.ts';
import { logLevels } from './log.ts';
import { wholeMatcher } from './pattern.ts';

/** Input that a parser of ours understands; its complaint becomes the text of the problem. */
const parsed = <S extends z.ZodType<string>, T>(schema: S, parse: (text: string) => T) =>
  schema.transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof AllianceError)) throw error;
      // The path stands before the message already.
      const message = (error.details ?? error.message).replace(/^cloud_id /, '');
      context.issues.push({ code: 'custom', message, input: text });
      return z.NEVER;
    }
  });

const text = () => z.string().min(1).max(1024);
/** A value that no output may show. */
const secret = () => text().meta({ secret: true });
/** A key that a reload cannot apply although its section is reloadable. */
const needsRestart = <S extends z.ZodType>(schema: S) => schema.meta({ restart: true });
const rate = (fallback: number) => z.number().min(0).max(1e12).default(fallback);
const count = (fallback: number) => z.int().min(1).max(1_000_000).default(fallback);

/** `HOST:PORT`, or null for `off`. */
const listenAddress = (fallback: string) =>
  parsed(z.string().default(fallback), (address) => (address === 'off' ? null : parseHostPort(address, 0)));

const endpoint = parsed(z.string(), (value) => formatEndpoint(parseEndpoint(value)));

const isKeystoneUrl = (value: string): boolean => {
  const url = parseUrl(value);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
};

const identity = z.strictObject({
  key_file: text()
    .default('key.pem')
    .describe('Private key, PEM, mode 0600: RSA of at least 3072 bits, P-256 or Ed25519.'),
  certificate_file: text()
    .default('certificate.pem')
    .describe('X.509 certificate of that key, PEM. Partners pin its key.'),
  passphrase: secret().optional().describe('Opens an encrypted key file. Better in the environment than in this file.'),
  passphrase_file: text().optional().describe('File that holds the passphrase.'),
});

const listen = z.strictObject({
  tls: listenAddress('0.0.0.0:9443').describe('Where partners reach this broker by TLS: `HOST:PORT`, or `off`.'),
  tcp: listenAddress('127.0.0.1:9441').describe(
    'Plain TCP: `HOST:PORT`, or `off`. Channels are sealed on it as well, but pairing needs TLS.',
  ),
});

const http = z.strictObject({
  listen: listenAddress('127.0.0.1:9480').describe('Health, readiness and metrics over HTTP: `HOST:PORT`, or `off`.'),
});

const keystone = z.strictObject({
  auth_url: text()
    .refine(isKeystoneUrl, 'must be an http:// or https:// URL without credentials in it')
    .optional()
    .describe("URL of this cloud's Keystone, Identity v3, such as `https://keystone.example:5000/v3`."),
  username: text().optional().describe("The broker's own user."),
  password: secret().optional().describe('Password of that user. Better as a file or in the environment.'),
  password_file: text().optional().describe('File that holds the password.'),
  user_domain_name: text().optional().describe('Domain of the user; `Default` when nothing says otherwise.'),
  project_name: text().optional().describe('Project that the broker works in.'),
  project_domain_name: text().optional().describe('Domain of the project; `Default` when nothing says otherwise.'),
  system_scope: z
    .enum(['all'])
    .optional()
    .describe('`all` for a token of the whole system, instead of one of a project.'),
  application_credential_id: text().optional().describe('Application credential, instead of user and password.'),
  application_credential_secret: secret().optional().describe('Secret of the application credential.'),
  application_credential_secret_file: text()
    .optional()
    .describe('File that holds the secret of the application credential.'),
  region: text().optional().describe('Region whose endpoints the broker uses; none means any.'),
  interface: z
    .enum(['public', 'internal', 'admin'])
    .optional()
    .describe('Interface of the endpoints it uses; `public` when nothing says otherwise.'),
  cacert: text().optional().describe('PEM file of authorities to trust for Keystone, instead of those of the system.'),
  os_cloud: text()
    .optional()
    .describe(
      'Entry of `clouds.yaml` to take all this from; keys given here win. Without `auth_url`, the variable `OS_CLOUD` names one as well.',
    ),
});

const exported = z.strictObject({
  interfaces: z
    .array(z.enum(['public', 'internal', 'admin']))
    .default(['public'])
    .describe('Interfaces whose endpoints partners may see.'),
  services: z.array(text()).default([]).describe('Types of services that partners may see; empty means all.'),
  regions: z.array(text()).default([]).describe('Regions that partners may see; empty means all.'),
});

const catalogInjection = z.strictObject({
  regions: z
    .array(z.strictObject({ region: text(), as: text() }))
    .default([])
    .describe("Regions of the partner's to show, each with its name here: `{region: RegionOne, as: east}`."),
  hosts: z.array(text()).default([]).describe('Hosts that the URLs may name, all of them https.'),
});

const provisioning = z.strictObject({
  projects: z.int().min(0).max(100_000).default(0).describe('At most so many at a time; 0: none.'),
  name_pattern: text()
    .refine((pattern) => wholeMatcher(pattern) !== undefined, 'must be a regular expression (RE2)')
    .default('[A-Za-z0-9][A-Za-z0-9_.-]*')
    .describe('Regular expression that the whole name must match.'),
  domain: text().default('Default').describe('Domain, by name, that they are made in.'),
  roles: z
    .array(text())
    .max(provisionLimits.roles)
    .default(['member'])
    .describe('Roles that may be asked for, at most 16; all of them are given when none is asked for.'),
  life_days: z.int().min(1).max(3650).optional().describe('Longest life; without end when not given.'),
});

const imageExport = z
  .strictObject({
    read: z
      .boolean()
      .default(false)
      .describe(
        'Whether the partner may see and fetch images of this cloud: those that all the keys beside this one admit.',
      ),
    regions: z
      .array(text())
      .default([])
      .describe('Regions of this cloud whose images may be read or written; empty: that of `keystone.region` alone.'),
    visibility: z
      .array(z.enum(['public', 'community', 'shared', 'private']))
      .default(['public'])
      .describe('Visibilities that may be read.'),
    projects: z
      .array(text())
      .default([])
      .describe('Ids of the projects whose images may be read; empty: of all projects.'),
    names: z
      .array(text())
      .default([])
      .describe('Names that may be read, with `*` for any characters; empty: all names.'),
    write: z
      .boolean()
      .default(false)
      .describe('Whether the partner may make images here; it may change and delete those, and no others.'),
    project: text()
      .optional()
      .describe(
        "Id of the project that the partner's images belong to: needed with `write`, and the project that the broker's user works in (`keystone.project_name`).",
      ),
    write_visibility: z
      .enum(['private', 'shared', 'community'])
      .default('private')
      .describe('Widest visibility of images that the partner makes.'),
    quota_gib: z.int().min(0).max(1_000_000).default(0).describe('GiB that they may have together.'),
    quota_images: z.int().min(0).max(100_000).default(0).describe('How many there may be.'),
    properties: z
      .array(text())
      .default(['*'])
      .describe(
        'Properties that the partner may set, with `*` for any characters; never `alliance_*` and `os_glance_*`.',
      ),
  })
  .superRefine(({ write, project, quota_gib, quota_images }, context) => {
    const missing = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (!write) return;
    if (project === undefined) missing('project', 'is missing; `write` needs it');
    if (quota_gib === 0) missing('quota_gib', 'must be more than 0 with `write`');
    if (quota_images === 0) missing('quota_images', 'must be more than 0 with `write`');
  });

const keystoneShape = keystone.omit({ region: true, system_scope: true });

/** How to log in to the Keystone of a target. */
const imageAuth = keystoneShape.extend({
  auth_url: keystoneShape.shape.auth_url.describe(
    'URL of the Keystone of this target, such as `https://keystone.other.example:5000/v3`.',
  ),
  username: keystoneShape.shape.username.describe('User there.'),
  project_name: keystoneShape.shape.project_name.describe('Project whose images are ours there.'),
  os_cloud: keystoneShape.shape.os_cloud.describe('Entry of `clouds.yaml` to take all this from; keys given here win.'),
});

const texts = () => z.array(text()).default([]);

const imageTarget = z.strictObject({
  auth: imageAuth
    .prefault({})
    .describe("Login at the Keystone of this target. `master` without one is this cloud's Keystone."),
  metadata_condition: z
    .string()
    .max(imageLimits.expressionCharacters)
    .optional()
    .describe(
      "Which of the master's images are wanted, as an expression of Python; none: public ones that have a property of `metadata_set`, or all public ones.",
    ),
  metadata_set: texts().describe('Properties that are kept equal; empty: all.'),
  forcesyncs: texts().describe("Ids of the master's images that are wanted in any case."),
  dontupdate: texts().describe('Checksums of images there that stay although the content differs.'),
  replace: texts().describe('Checksums of those that are replaced; `any`: all.'),
  rename: texts().describe('Checksums of those that are put aside as `NAME.old`; `any`: all.'),
  only_tenant_images: z.boolean().default(true).describe('Whether images of other projects count as not there.'),
  support_obsolete_images: z
    .boolean()
    .default(true)
    .describe('Whether what the master calls `NAME_obsolete` is called so there, too.'),
  obsolete_syncprops: texts().describe('Properties that such images get from the master.'),
  ignore_regions: texts().describe('Regions that are synchronised only if they are named.'),
});

const images = z.strictObject({
  master_region: text()
    .optional()
    .describe(
      'Region whose images go to all others: one of target `master`. When not given: `OS_REGION_NAME`, else `keystone.region`.',
    ),
  preferable_order: texts().describe('Regions that come first where they are not named one by one.'),
  parallel: z.int().min(1).max(imageLimits.parallel).default(1).describe('Regions at a time.'),
  bwlimit: text()
    .optional()
    .describe(
      'Bytes per second of all transfers together, such as `50M` (MiB), or a timetable: `08:00,10M 19:00,off`.',
    ),
  targets: z
    .record(z.string(), imageTarget)
    .default({})
    .describe(
      'Keystones and partners that images go to, by name: `master` for this cloud, the cloud_id of a partner, or a name of your own with a login.',
    ),
  policies: z
    .record(z.string(), imagePolicy)
    .default({})
    .describe('Syncs that a running broker does by itself, by name: `a-z`, `0-9` and `-`.'),
  rest: z
    .boolean()
    .default(false)
    .describe("Whether GlanceSync's REST API is served below `/glancesync` on `http.listen`."),
  rest_role: text()
    .default('admin')
    .describe("Role that a token of this cloud's Keystone must have for it, on whatever project."),
});

const partner = z.strictObject({
  authenticate: z
    .boolean()
    .default(false)
    .describe('Whether users may log in to this cloud through that partner, with their own credentials.'),
  continuity: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('`required` refuses a new start of sessions until an operator approves it.'),
  calls_per_s: rate(partnerLimits.callsPerS).describe('Calls per second; 0 means no limit.'),
  calls_burst: count(partnerLimits.callsBurst).describe('Calls at once before the rate applies.'),
  in_flight: count(partnerLimits.inFlight).describe('Calls in flight, over all channels.'),
  bytes_per_s: rate(partnerLimits.bytesPerS).describe('Bytes per second, both directions; 0 means no limit.'),
  channels: count(partnerLimits.channels).describe('Channels at a time.'),
  handshakes_per_s: rate(partnerLimits.handshakesPerS).describe('New sessions per second; 0 means no limit.'),
  handshakes_burst: count(partnerLimits.handshakesBurst).describe('New sessions at once before the rate applies.'),
  announce_tokens: z
    .boolean()
    .default(false)
    .describe('Whether to ask the partner to announce its fresh tokens, so that they are recognised here.'),
  tell_tokens: z
    .boolean()
    .default(false)
    .describe(
      "Whether the partner hears of this cloud's fresh tokens where it asks for that: that somebody logged in, a hash and the expiry.",
    ),
  stale_ms: z
    .int()
    .min(0)
    .max(tokenLimits.staleMs)
    .default(0)
    .describe('Milliseconds that an answer about a token counts while the partner cannot be reached; 0: not at all.'),
  stale_roles: z
    .array(text())
    .optional()
    .describe('Roles that are left of such an answer; all of them when not given.'),
  catalog_injection: catalogInjection.prefault({}).describe("The partner's endpoints in the catalog of its own users."),
  provision: provisioning.prefault({}).describe('Projects that the partner may have made here for its users.'),
  images: imageExport.prefault({}).describe('Images of this cloud that the partner may read or make; by default none.'),
});

const facade = z.strictObject({
  listen: listenAddress('off').describe(
    'Where services of this cloud reach the Keystone-compatible face: `HOST:PORT`, or `off`. By custom port 5000.',
  ),
  url: text()
    .refine(isKeystoneUrl, 'must be an http:// or https:// URL without credentials in it')
    .optional()
    .describe('URL that services reach it by, as the catalog is to tell it; made of `facade.listen` when not given.'),
  certificate_file: text().optional().describe('PEM certificate chain, for HTTPS. Goes with `facade.key_file`.'),
  key_file: text().optional().describe('PEM private key of that certificate.'),
  connections_per_address: count(facadeLimits.connectionsPerAddress).describe(
    'Connections from one address, such as that of a proxy; beyond it an idle one is closed for each new one.',
  ),
});

const tokens = z.strictObject({
  qualified: z.boolean().default(true).describe('Whether `a1.<cloud_id>.<token>` says whose a token is.'),
  jws: z
    .boolean()
    .default(true)
    .describe("Whether a JWS token is recognised by the keys that partners publish of their Keystone's."),
  known: z
    .boolean()
    .default(true)
    .describe('Whether a token is recognised that a partner announced or that was validated before.'),
  ask: z
    .union([z.enum(['none', 'hint']), z.array(parsed(z.string(), (value): CloudId => parseCloudId(value)))])
    .default('none')
    .describe(
      'Whom to ask about a token that nothing else recognises: `none`; `hint`, every provider by a hash of the token; or a list of cloud_ids, to all of which such tokens are sent.',
    ),
  all_logins_here: z
    .boolean()
    .default(false)
    .describe(
      'Whether every login of this cloud goes through the facade of this broker, so that it may say of a token that it is not of this cloud; partners with `tokens.ask: hint` need that of all their providers.',
    ),
  jws_keys: text()
    .optional()
    .describe("Directory of the public keys (PEM) of this cloud's JWS tokens, to publish to partners."),
  cache_ms: count(tokenLimits.foreignCacheMs).describe('Milliseconds that an answer about a foreign token counts.'),
  cache_entries: count(tokenLimits.foreignCacheEntries).describe('Foreign tokens that are remembered.'),
  privileged_roles: z
    .array(text())
    .default([])
    .describe('Roles that a mapping gives only with `allow_privileged`, besides admin, manager and service.'),
  service_token_roles: z
    .array(text())
    .default(['service'])
    .describe('The same of the services behind the facade (`service_token_roles`): they are privileged, too.'),
  allow_local_users: z
    .boolean()
    .default(false)
    .describe('Whether a mapping may turn a foreign user into a user of this cloud (`type: local`).'),
});

const audit = z.strictObject({
  keep_days: z
    .int()
    .min(1)
    .max(36_500)
    .default(auditLimits.keepDays)
    .describe('Days that records of the audit are kept; of older ones a signed record stays of where they ended.'),
});

const dial = z.strictObject({
  allow: z
    .array(parsed(z.string(), parseNetwork))
    .prefault([])
    .describe(
      'Hosts, addresses and networks (CIDR) to dial although the dial policy refuses them: loopback, link-local, metadata and multicast addresses.',
    ),
});

const limits = z.strictObject({
  unauthenticated_per_s: rate(connectionLimits.unauthenticatedPerS).describe(
    'Calls per second and address from peers that are not authenticated; 0 means no limit, of TLS handshakes neither.',
  ),
  unauthenticated_burst: count(connectionLimits.unauthenticatedBurst).describe(
    'Such calls at once before the rate applies.',
  ),
  pings_per_s: rate(connectionLimits.pingsPerS).describe(
    'Pings per second and address, except on loopback; 0 means no limit.',
  ),
  connections: count(connectionLimits.total).describe('Connections in all.'),
  connections_per_address: count(connectionLimits.perAddress).describe('Connections from one address.'),
  in_flight_per_connection: count(connectionLimits.inFlightPerConnection).describe(
    'Calls in flight on one connection.',
  ),
  keystone_concurrency: needsRestart(count(keystoneLimits.concurrency)).describe('Requests to Keystone at a time.'),
  keystone_concurrency_per_partner: count(partnerLimits.keystoneConcurrency).describe(
    'Requests to Keystone at a time on behalf of one partner.',
  ),
  soft_cache_entries: count(tokenLimits.softCacheEntries).describe('Tokens that `validateTokenSoft` remembers.'),
  soft_cache_ms: count(tokenLimits.softCacheMs).describe('Milliseconds that it remembers one.'),
  authenticate_per_minute: count(tokenLimits.authenticatePerMinute).describe('Logins per minute, by partner and user.'),
  authenticate_per_minute_per_partner: count(tokenLimits.authenticatePerMinutePerPartner).describe(
    'Logins per minute, by partner, of all its users.',
  ),
});

const database = z.strictObject({
  url: z
    .string()
    .regex(/^sqlite:(\/\/\/)?[^?#]+$/, 'must be sqlite:PATH')
    .default('sqlite:alliance.db')
    .describe('Where state is kept: `sqlite:PATH`.'),
  kek_file: text()
    .default('kek')
    .describe('Key-encryption key that seals secrets in the database. May lie outside of the home directory.'),
});

const log = z.strictObject({
  level: z.enum(logLevels).default('info').describe('Least important messages to log.'),
});

export const configSchema = z.strictObject({
  cloud_id: parsed(z.string(), (value): CloudId => parseCloudId(value)).describe(
    'Name of this cloud among its partners: 1 to 63 of `a-z`, `0-9` and `-`. Required. It cannot change after pairing.',
  ),
  advertise: z
    .array(endpoint)
    .max(pairingLimits.endpoints)
    .prefault([])
    .describe('Endpoints that partners dial, in order of preference: `tls://HOST:PORT` or `tcp://HOST:PORT`.'),
  identity: identity.prefault({}).describe("This broker's key pair and certificate."),
  listen: listen.prefault({}).describe('Where partners reach this broker.'),
  http: http.prefault({}).describe('The HTTP face for operators.'),
  keystone: keystone.prefault({}).describe("This cloud's Keystone and the broker's own user there."),
  facade: facade.prefault({}).describe('The Keystone-compatible face for the services of this cloud.'),
  tokens: tokens.prefault({}).describe('Tokens of partner clouds.'),
  exports: exported.prefault({}).describe('What partners see of the service catalog of this cloud.'),
  partners: z
    .record(z.string(), partner)
    .default({})
    .describe('What single partners may do, by cloud_id. Others have the defaults.'),
  images: images.prefault({}).describe('Images between regions and clouds: what `alliance image` works by.'),
  audit: audit.prefault({}).describe('The record of what happened.'),
  dial: dial.prefault({}).describe('Which addresses this broker dials.'),
  limits: limits.prefault({}).describe('Bounds against overload.'),
  database: database.prefault({}).describe('Storage.'),
  log: log.prefault({}).describe('The log.'),
});

/** What a partner may do that the configuration does not name. */
export const partnerDefaults = partner.parse({});

/** What holds for a target of images that the configuration does not name. */
export const imageTargetDefaults = imageTarget.parse({});
