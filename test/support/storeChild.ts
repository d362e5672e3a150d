/** A process of its own that does one job on a database; see storeProcess.ts. Jobs report by message and wait for the message 'go'. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AllianceError } from '../../src/core/errors.ts';
import type { InvitationId } from '../../src/core/ids.ts';
import { openDatabase } from '../../src/model/database.ts';
import { openStore } from '../../src/model/store.ts';
import { auditEntry } from './audit.ts';
import { newPartner, testKeyring, testStart } from './store.ts';

const [job, url, argument] = process.argv.slice(2) as [string, string, string];
const tell = (message: string): void => {
  process.send!(message);
};
const go = (): Promise<void> => new Promise((resolve) => process.once('message', () => resolve()));
const nameOf = (error: AllianceError): string => error.errorName ?? String(error);

const jobs: Readonly<Record<string, () => Promise<void>>> = {
  /** Opens, as one of several that start at once. */
  async open() {
    tell('ready');
    await go();
    const store = await openStore({ url, keyring: testKeyring });
    await store.feed.append('opened', {});
    await store.close();
    tell('done');
  },

  /** Accepts the invitation `argument` as a cloud of its own. */
  async accept() {
    const store = await openStore({ url, keyring: testKeyring });
    const partner = newPartner(`cloud-${process.pid}`);
    const acceptance = { fingerprint: partner.key.fingerprint, now: testStart, partner, answer: Buffer.alloc(1) };
    tell('ready');
    await go();
    const result = await store.invitations.consume(argument as InvitationId, acceptance).then((c) => c.outcome, nameOf);
    await store.close();
    tell(result);
  },

  /** Reserves a project for the partner `argument`, of whom two may be there. */
  async provision() {
    const store = await openStore({ url, keyring: testKeyring });
    const partner = await store.partners.resolve(argument);
    const requestId = `request-${process.pid}`;
    const asked = { name: requestId, userId: null, roles: null, expiresAt: null };
    const request = { direction: 'in', requestId, asked, roles: [], domainId: 'default', expiresAt: null } as const;
    tell('ready');
    await go();
    const result = await store.provisions.reserve(partner, request, 2).then((made) => made.state, nameOf);
    await store.close();
    tell(result);
  },

  /** Writes one half of two settings that belong together, and then waits for its end. */
  async halve() {
    const db = await openDatabase(url, { now: 0, busyTimeoutMs: 1000 });
    await db.write(async (trx) => {
      await trx
        .insertInto('settings')
        .values({ key: 'half', value: 'x'.repeat(100_000) })
        .execute();
      tell('half');
      await sleep(60_000);
    });
  },

  /** Adds partners until it is ended. */
  async flood() {
    const store = await openStore({ url, keyring: testKeyring });
    for (let i = 0; ; i++) {
      await store.partners.add(newPartner(`cloud-${i}`));
      tell(String(i + 1));
    }
  },

  /** Appends many records at once, some of them with an act. */
  async audit() {
    const store = await openStore({ url, keyring: testKeyring });
    tell('ready');
    await go();
    const acts = Array.from({ length: 200 }, (_, i) =>
      i % 10 ? store.audit.append(auditEntry()) : store.partners.add(newPartner(`cloud-${process.pid}-${i}`)),
    );
    await Promise.all(acts);
    await store.close();
    tell('done');
  },

  /** Appends records, many at a time, until it is ended; reports how many are stored. */
  async auditFlood() {
    const store = await openStore({ url, keyring: testKeyring });
    for (let stored = 0; ; ) {
      const batch = Array.from({ length: 50 }, () => store.audit.append(auditEntry()).then(() => ++stored));
      await Promise.all(batch);
      tell(String(stored));
    }
  },

  /** Holds the write lock until told to go. */
  async lock() {
    const db = await openDatabase(url, { now: 0, busyTimeoutMs: 1000 });
    await db.write(async () => {
      tell('locked');
      await go();
    });
    await db.close();
    tell('done');
  },
};

await jobs[job]!();
process.disconnect();
