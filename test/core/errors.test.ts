/** Numbers, names, statuses and retryability are read by partners and scripts: a change here is a change for them. */
import { expect } from 'chai';
import { AllianceError, toAllianceError } from '../../src/core/errors.ts';
import { errorNameOf, errorTable } from '../../src/core/errorTable.ts';

const pinned: readonly [code: number, name: string, httpStatus: number, retryable: boolean][] = [
  [400, 'bad_request', 400, false],
  [401, 'unauthenticated', 401, false],
  [403, 'forbidden', 403, false],
  [429, 'rate_limited', 429, true],
  [501, 'internal', 500, true],
  [502, 'configuration', 500, false],
  [503, 'overloaded', 503, true],
  [505, 'shutting_down', 503, true],
  [1001, 'wire_malformed', 400, false],
  [1002, 'frame_too_large', 413, false],
  [1003, 'connection_lost', 503, true],
  [1004, 'unreachable', 503, true],
  [1005, 'pin_mismatch', 502, false],
  [1006, 'unknown_method', 404, false],
  [1007, 'deadline_exceeded', 504, true],
  [1008, 'circuit_open', 503, true],
  [1009, 'dial_refused', 403, false],
  [1101, 'ticket_unreadable', 400, false],
  [1102, 'session_key_mismatch', 409, true],
  [1103, 'ticket_refused', 401, false],
  [1104, 'attempt_unknown', 400, false],
  [1105, 'session_invalid', 401, true],
  [1106, 'clock_skew', 401, false],
  [1107, 'partner_not_active', 403, false],
  [1108, 'continuity_required', 403, false],
  [1201, 'pairing_needs_tls', 400, false],
  [1202, 'invitation_refused', 403, false],
  [1203, 'invitation_unreadable', 400, false],
  [1204, 'identity_known', 409, false],
  [1301, 'rotation_refused', 403, false],
  [1302, 'rotation_old_sequence', 409, false],
  [1303, 'rotation_overlap', 409, false],
  [1401, 'credentials_refused', 401, false],
  [1402, 'token_form_refused', 400, false],
  [1403, 'not_exported', 403, false],
  [1404, 'provision_off', 403, false],
  [1405, 'provision_limit', 403, false],
  [1406, 'provision_refused', 400, false],
  [1407, 'project_not_found', 404, false],
  [1410, 'mapping_invalid', 400, false],
  [1501, 'keystone_unreachable', 503, true],
  [1502, 'keystone_refused', 502, false],
  [1503, 'keystone_malformed', 502, true],
  [1601, 'database_corrupt', 500, false],
  [1602, 'database_read_only', 500, false],
  [1603, 'database_locked', 503, true],
  [1604, 'database_newer', 500, false],
  [1605, 'not_initialised', 500, false],
  [1606, 'already_initialised', 409, false],
  [1607, 'seal_broken', 500, false],
  [1608, 'usage', 400, false],
  [1609, 'database_replaced', 503, true],
  [1610, 'output_lost', 500, false],
  [1611, 'audit_broken', 500, false],
  [1612, 'file_not_written', 500, false],
  [1701, 'image_not_found', 404, false],
  [1702, 'image_conflict', 409, false],
  [1703, 'image_refused', 403, false],
  [1704, 'image_quota', 413, false],
  [1705, 'image_mismatch', 409, true],
  [1706, 'image_unsafe', 403, false],
  [1711, 'glance_unreachable', 503, true],
  [1712, 'glance_refused', 502, false],
  [1713, 'glance_malformed', 502, true],
  [1721, 'region_not_found', 410, false],
  [1722, 'sync_running', 409, true],
  [1723, 'sync_stopped', 409, false],
  [2404, 'partner_not_found', 404, false],
  [2409, 'illegal_transition', 409, false],
  [2410, 'name_reserved', 400, false],
  [2411, 'code_mismatch', 403, false],
];

describe('errors', () => {
  it('keeps numbers, names, statuses and retryability', () => {
    const rows = [...errorTable.values()].map(({ code, name, httpStatus, retryable }) => [
      code,
      name,
      httpStatus,
      retryable,
    ]);
    expect(rows).to.have.deep.members([...pinned]);
  });

  it('has every number once, and a sentence and a remedy for each', () => {
    expect(new Set([...errorTable.values()].map(({ code }) => code)).size).to.equal(errorTable.size);
    for (const { publicMessage, remedy } of errorTable.values())
      for (const text of [publicMessage, remedy]) expect(text).to.match(/^[A-Z].*\.$/);
  });

  it('finds the name of a number, and none for a stranger', () => {
    expect(errorNameOf(1101)).to.equal('ticket_unreadable');
    expect(errorNameOf(2404)).to.equal('partner_not_found');
    expect(errorNameOf(1)).to.equal(undefined);
  });

  it('takes message and retryability from the table, details and cause from the thrower', () => {
    const cause = new Error('inner');
    const error = new AllianceError('unreachable', { details: 'tls://east:9443', cause, field: 'endpoint' });
    expect(error).to.include({ code: 1004, errorName: 'unreachable', retryable: true, remote: false, cause });
    expect(error).to.include({ details: 'tls://east:9443', field: 'endpoint' });
    expect(error.message).to.equal('The partner cannot be reached. tls://east:9443');
    expect(new AllianceError('unreachable').message).to.equal('The partner cannot be reached.');
  });

  it('keeps what a partner said about its own error', () => {
    const error = new AllianceError('internal', {
      remote: true,
      retryable: false,
      requestId: 'abc',
      retryAfterMs: 5,
    });
    expect(error).to.include({ remote: true, retryable: false, requestId: 'abc', retryAfterMs: 5 });
  });

  it('hides what is none of ours behind `internal`', () => {
    const ours = new AllianceError('forbidden');
    const foreign = new TypeError('secret internals');
    expect(toAllianceError(ours)).to.equal(ours);
    expect(toAllianceError(foreign)).to.include({ code: 501, cause: foreign, message: 'Internal error.' });
    expect(toAllianceError('text').cause).to.equal('text');
  });
});
