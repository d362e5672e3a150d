/** Stores on temporary files, and the nouns that are put into them. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/core/clock.ts';
import type { CloudId, InvitationId, PartnerUid, SessionId } from '../../src/core/ids.ts';
import { Keyring } from '../../src/crypto/keyring.ts';
import type { NewInvitation } from '../../src/model/invitation.ts';
import type { NewPartner, NewPartnerKey } from '../../src/model/partner.ts';
import type { StoredSession } from '../../src/model/session.ts';
import { openStore, type Store, type StoreOptions } from '../../src/model/store.ts';

export const testStart = Date.UTC(2030, 0, 1);

/** A clock that only the test turns. */
export function createTestClock(at: number = testStart): Clock & { advance(ms: number): number } {
  let now = at;
  return {
    now: () => now,
    advance: (ms) => {
      now += ms;
      return now;
    },
  };
}

/** Always the same key, so that two processes of one test can open one file. */
export const testKeyring = new Keyring(1, new Map([[1, Buffer.alloc(32, 7)]]));

export interface TestFile {
  readonly directory: string;
  readonly path: string;
  readonly url: string;
  /** Opens one more store on the same file; `remove` closes it. */
  open(options?: Partial<StoreOptions>): Promise<Store>;
  /** Closes what is open and deletes the directory. */
  remove(): Promise<void>;
}

export function createTestFile(clock?: Clock): TestFile {
  const directory = mkdtempSync(join(tmpdir(), 'alliance-store-'));
  const path = join(directory, 'alliance.db');
  const url = `sqlite:${path}`;
  const stores: Store[] = [];
  return {
    directory,
    path,
    url,
    open: async (options = {}) => {
      const store = await openStore({ url, keyring: testKeyring, ...(clock && { clock }), ...options });
      stores.push(store);
      return store;
    },
    remove: async () => {
      for (const store of stores) await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function newKey(changes: Partial<NewPartnerKey> = {}): NewPartnerKey {
  return {
    fingerprint: randomBytes(32),
    algorithm: 'PS256',
    certificateDer: randomBytes(64),
    notBefore: testStart - 1000,
    notAfter: testStart + 3650 * 86_400_000,
    ...changes,
  };
}

export function newPartner(cloudId: string, changes: Partial<NewPartner> = {}): NewPartner {
  return {
    cloudId: cloudId as CloudId,
    role: 'both',
    state: 'active',
    endpoints: ['tls://127.0.0.1:1'],
    key: newKey(),
    binding: 'none',
    ...changes,
  };
}

export function newSession(
  partner: { uid: PartnerUid; keys: readonly { fingerprint: Buffer }[] },
  changes: Partial<StoredSession> = {},
): StoredSession {
  const createdAt = changes.createdAt ?? testStart;
  return {
    sid: randomBytes(16).toString('base64url') as SessionId,
    partnerUid: partner.uid,
    direction: 'responder',
    ownFingerprint: Buffer.alloc(32, 1),
    partnerFingerprint: partner.keys[0]!.fingerprint,
    secret: randomBytes(32),
    continuity: randomBytes(32),
    createdAt,
    validTill: createdAt + 36_000_000,
    confirmedAt: null,
    continuityTill: createdAt + 30 * 86_400_000,
    ...changes,
  };
}

export function newInvitation(changes: Partial<NewInvitation> = {}): NewInvitation {
  return {
    id: randomBytes(16).toString('base64url') as InvitationId,
    kp: randomBytes(32),
    role: 'both',
    name: null,
    forCloudId: null,
    approve: false,
    trustTill: null,
    expiresAt: testStart + 900_000,
    ...changes,
  };
}
