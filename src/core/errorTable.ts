/**
 * The one table of error codes. Numbers are stable and travel in `AException.code`; names are for people and `--json`. `publicMessage` is
 * what a partner sees, `remedy` what an operator sees.
 */

export interface ErrorEntry {
  readonly code: number;
  readonly name: string;
  /** HTTP status of the same error on our HTTP faces. */
  readonly httpStatus: number;
  /** Whether the same call may succeed later without any change by the caller. */
  readonly retryable: boolean;
  readonly publicMessage: string;
  readonly remedy: string;
}

const entry = (
  code: number,
  httpStatus: number,
  retryable: boolean,
  publicMessage: string,
  remedy: string,
): Omit<ErrorEntry, 'name'> => ({ code, httpStatus, retryable, publicMessage, remedy });

const table = {
  // General
  bad_request: entry(400, 400, false, 'The request is malformed.', 'Correct the field that the message names.'),
  unauthenticated: entry(
    401,
    401,
    false,
    'This call needs an authenticated channel.',
    'Do the handshake (getSession, attach) first.',
  ),
  forbidden: entry(
    403,
    403,
    false,
    'This partner may not call this method.',
    'Ask the other operator to change the role of the partnership.',
  ),
  rate_limited: entry(
    429,
    429,
    true,
    'Too many calls.',
    'Wait as long as retry_after_ms says, or have the limit raised.',
  ),
  internal: entry(501, 500, true, 'Internal error.', "Look for the request id in the answering broker's log."),
  configuration: entry(502, 500, false, 'The configuration is wrong.', 'Run `alliance config check`.'),
  overloaded: entry(503, 503, true, 'The broker is busy.', 'Wait as long as retry_after_ms says.'),
  shutting_down: entry(505, 503, true, 'The broker is shutting down.', 'Try another endpoint of the partner, or wait.'),

  // Wire and connection (1000)
  wire_malformed: entry(
    1001,
    400,
    false,
    'The bytes received are no valid message.',
    'Check that both sides speak framed compact Thrift of this IDL.',
  ),
  frame_too_large: entry(
    1002,
    413,
    false,
    'The frame is larger than allowed.',
    'Send smaller frames; see docs/protocol.md, limits.',
  ),
  connection_lost: entry(
    1003,
    503,
    true,
    'The connection ended before the answer.',
    'Try again; see `alliance partner doctor`.',
  ),
  unreachable: entry(1004, 503, true, 'The partner cannot be reached.', 'Run `alliance partner doctor`.'),
  pin_mismatch: entry(
    1005,
    502,
    false,
    'The peer shows another certificate than the pinned one.',
    'Compare fingerprints with the other operator; someone may be in between.',
  ),
  unknown_method: entry(1006, 404, false, 'The method is not known here.', 'Upgrade the older one of the two brokers.'),
  deadline_exceeded: entry(
    1007,
    504,
    true,
    'No answer within the deadline.',
    'Try again; see `alliance partner doctor`.',
  ),
  circuit_open: entry(
    1008,
    503,
    true,
    'The partner failed repeatedly and is left alone for a moment.',
    'Wait a moment; see `alliance partner doctor`.',
  ),
  dial_refused: entry(
    1009,
    403,
    false,
    'The dial policy refuses this address.',
    'Add the address or network to `dial.allow` if it is meant.',
  ),

  // Handshake and channel (the prototype's numbers first)
  ticket_unreadable: entry(
    1101,
    400,
    false,
    'The ticket cannot be read.',
    'Check the protocol versions of both brokers.',
  ),
  session_key_mismatch: entry(
    1102,
    409,
    true,
    'The previous session is not known here.',
    'Nothing to do: the broker falls back by itself.',
  ),
  ticket_refused: entry(
    1103,
    401,
    false,
    'The ticket is refused.',
    'Check with both operators that they are partners with the current certificates.',
  ),
  attempt_unknown: entry(
    1104,
    400,
    false,
    'The kind of attempt is not known.',
    'Upgrade the older one of the two brokers.',
  ),
  session_invalid: entry(
    1105,
    401,
    true,
    'The session is not valid.',
    'Nothing to do: the broker opens a new session by itself.',
  ),
  clock_skew: entry(1106, 401, false, 'The clocks differ by more than 60 seconds.', 'Run NTP on both hosts.'),
  partner_not_active: entry(
    1107,
    403,
    false,
    'The partnership is not active.',
    'Ask the other operator: it may be pending, suspended, expired or revoked.',
  ),
  continuity_required: entry(
    1108,
    403,
    false,
    'A new start needs the approval of an operator here.',
    'Ask the other operator for `alliance partner approve`.',
  ),

  // Pairing
  pairing_needs_tls: entry(1201, 400, false, 'Pairing needs TLS.', 'Dial a tls:// endpoint.'),
  invitation_refused: entry(
    1202,
    403,
    false,
    'The invitation is refused.',
    'It is unknown, used or expired: ask for a new one.',
  ),
  invitation_unreadable: entry(
    1203,
    400,
    false,
    'The invitation token cannot be read.',
    'Copy the whole token, from `alliance1.` to its end.',
  ),
  identity_known: entry(
    1204,
    409,
    false,
    'This cloud_id or key is already known.',
    'Remove the old partner first, or use another cloud_id.',
  ),

  // Rotation
  rotation_refused: entry(
    1301,
    403,
    false,
    'The rotation is refused.',
    'Compare fingerprints with the other operator.',
  ),
  rotation_old_sequence: entry(
    1302,
    409,
    false,
    'The rotation is older than the one known.',
    'Run `alliance identity show` on both sides.',
  ),
  rotation_overlap: entry(1303, 409, false, 'The overlap of the last rotation still runs.', 'Wait until it ends.'),

  // Tokens and users
  credentials_refused: entry(1401, 401, false, 'The credentials are refused.', 'Check user, domain and password.'),
  token_form_refused: entry(
    1402,
    400,
    false,
    'The token has a form that is not accepted here.',
    'Send the token as Keystone issued it.',
  ),
  not_exported: entry(
    1403,
    403,
    false,
    'This cloud does not offer that to this partner.',
    'Ask the other operator to switch it on in `exports` or `partners`.',
  ),
  provision_off: entry(
    1404,
    403,
    false,
    'This cloud makes no projects for this partner.',
    'Ask the other operator to set `partners.<cloud_id>.provision.projects`.',
  ),
  provision_limit: entry(
    1405,
    403,
    false,
    'This cloud makes no more projects for this partner.',
    'Remove one (`alliance provision list`), or ask the other operator for a higher limit.',
  ),
  provision_refused: entry(
    1406,
    400,
    false,
    'The project cannot be made like this.',
    'Choose another name or other roles.',
  ),
  project_not_found: entry(
    1407,
    404,
    false,
    'There is no such project of this partner.',
    'See `alliance provision list`.',
  ),
  mapping_invalid: entry(
    1410,
    400,
    false,
    'The mapping is wrong.',
    'Correct what the message names; docs/mapping.md says what a rule may hold.',
  ),

  // This cloud's Keystone
  keystone_unreachable: entry(
    1501,
    503,
    true,
    'Keystone cannot be reached.',
    'Check `keystone.auth_url`, DNS, firewall and the service.',
  ),
  keystone_refused: entry(
    1502,
    502,
    false,
    "Keystone refuses the broker's credentials.",
    "Check the broker's user, its roles and its password.",
  ),
  keystone_malformed: entry(
    1503,
    502,
    true,
    'Keystone answered with something unexpected.',
    'Check that `keystone.auth_url` is an Identity v3 endpoint.',
  ),

  // Images and Glance
  image_not_found: entry(1701, 404, false, 'There is no such image.', 'Check id and region: `alliance image status`.'),
  image_conflict: entry(
    1702,
    409,
    false,
    'The image is not in a state that allows this.',
    'Look at its status, and whether it is protected or its id is taken.',
  ),
  image_refused: entry(
    1703,
    403,
    false,
    'The image, or what is asked of it, is not allowed.',
    'Check `partners.<cloud_id>.images.write` and its neighbours there, and the policy of Glance.',
  ),
  image_quota: entry(1704, 413, false, 'There is no room for the image.', 'Delete images, or ask for a higher quota.'),
  image_mismatch: entry(
    1705,
    409,
    true,
    'The content of the image is not what it should be.',
    'Run the sync again; if it stays so, compare the hashes that the message names.',
  ),
  image_unsafe: entry(
    1706,
    403,
    false,
    'The content of the image could read files of a hypervisor, or is not of its disk format.',
    'Convert the image to a flat one (`qemu-img convert`), and give it the right disk_format.',
  ),
  glance_unreachable: entry(
    1711,
    503,
    true,
    'Glance cannot be reached.',
    'Check the image endpoint of the region, DNS, firewall and the service.',
  ),
  glance_refused: entry(
    1712,
    502,
    false,
    "Glance refuses the broker's credentials.",
    "Check the broker's user, its roles and its project.",
  ),
  glance_malformed: entry(
    1713,
    502,
    true,
    'Glance answered with something unexpected.',
    'Check that the image endpoint of the region is an Image v2 one.',
  ),
  region_not_found: entry(1721, 410, false, 'There is no such region.', 'See `alliance image regions`.'),
  sync_running: entry(
    1722,
    409,
    true,
    'A sync of this region is running already.',
    'Wait for it (`alliance execution list`), or stop it.',
  ),
  sync_stopped: entry(
    1723,
    409,
    false,
    'The sync was stopped: it would change more than is usual.',
    'Look at `alliance image plan`; if that is meant, add `--yes`.',
  ),

  // Storage and this installation
  database_corrupt: entry(1601, 500, false, 'The database is damaged.', 'Restore a backup: `alliance restore FILE`.'),
  database_read_only: entry(
    1602,
    500,
    false,
    'The database cannot be written.',
    'Check owner, mode and free space of the home directory.',
  ),
  database_locked: entry(
    1603,
    503,
    true,
    'The database is locked by another process.',
    'Find the process that holds it, for example with `fuser`.',
  ),
  database_newer: entry(
    1604,
    500,
    false,
    'The database was written by a newer version.',
    'Upgrade this installation, or restore a backup.',
  ),
  not_initialised: entry(1605, 500, false, 'There is no broker in this home directory.', 'Run `alliance init`.'),
  already_initialised: entry(
    1606,
    409,
    false,
    'There already is a broker in this home directory.',
    'Use another `--home`, or go on with this one.',
  ),
  seal_broken: entry(
    1607,
    500,
    false,
    'A stored secret cannot be opened.',
    'Check that the key-encryption key belongs to this database.',
  ),
  usage: entry(1608, 400, false, 'The command line is wrong.', 'See `--help`.'),
  database_replaced: entry(
    1609,
    503,
    true,
    'The database file was replaced while this process had it open.',
    'Restart the broker.',
  ),
  output_lost: entry(
    1610,
    500,
    false,
    'Standard output takes no more; what is there is not whole.',
    'Make room, or write it elsewhere; if the command changes something, look first whether it has.',
  ),
  audit_broken: entry(
    1611,
    500,
    false,
    'The audit is not whole, so its end is not signed.',
    'Run `alliance audit verify`, and compare with the checkpoints in the log.',
  ),
  file_not_written: entry(
    1612,
    500,
    false,
    'A file cannot be written.',
    'Check the path, its owner and mode, and the space on the disk.',
  ),

  // Partners
  partner_not_found: entry(2404, 404, false, 'There is no such partner.', 'See `alliance partner list`.'),
  illegal_transition: entry(2409, 409, false, 'The partner is in another state.', 'See `alliance partner show`.'),
  name_reserved: entry(2410, 400, false, 'This name has a meaning of its own.', 'Choose another name.'),
  code_mismatch: entry(
    2411,
    403,
    false,
    'The verification code is another one.',
    'Compare it again with the other operator; if it differs, revoke.',
  ),
} as const;

export type ErrorName = keyof typeof table;

export const errorTable: ReadonlyMap<ErrorName, ErrorEntry> = new Map(
  Object.entries(table).map(([name, row]) => [name as ErrorName, { name, ...row }]),
);

const nameByCode: ReadonlyMap<number, ErrorName> = new Map(
  [...errorTable].map(([name, row]) => [row.code, name] as const),
);

/** The name of a code, if it is one of ours. */
export function errorNameOf(code: number): ErrorName | undefined {
  return nameByCode.get(code);
}
