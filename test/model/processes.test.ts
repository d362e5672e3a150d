/** Several processes on one database, and what is left when one of them is killed. */
import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { checkDatabaseFile } from '../../src/model/database.ts';
import { migrations } from '../../src/model/migrations/index.ts';
import { openStore } from '../../src/model/store.ts';
import { genuine } from '../support/audit.ts';
import { rejection } from '../support/errors.ts';
import {
  createTestClock,
  createTestFile,
  newInvitation,
  newPartner,
  type TestFile,
  testKeyring,
} from '../support/store.ts';
import { type StoreProcess, startStoreProcess } from '../support/storeProcess.ts';

describe('several processes on one database', function () {
  this.timeout(60_000);
  let file: TestFile;
  let processes: StoreProcess[];

  beforeEach(() => {
    file = createTestFile(createTestClock());
    processes = [];
  });
  afterEach(async () => {
    for (const process of processes) await process.kill();
    await file.remove();
  });

  const start = (job: string, argument?: string): StoreProcess => {
    const process = startStoreProcess(job, file.url, argument);
    processes.push(process);
    return process;
  };
  const together = async (count: number, job: string, argument?: string): Promise<string[]> => {
    const all = Array.from({ length: count }, () => start(job, argument));
    for (const process of all) expect(await process.message()).to.equal('ready');
    for (const process of all) process.go();
    return Promise.all(all.map((process) => process.message()));
  };

  it('may create and migrate it at the same moment', async () => {
    expect(await together(4, 'open')).to.deep.equal(['done', 'done', 'done', 'done']);
    const store = await file.open();
    expect((await store.feed.read({ after: 0 })).entries.map(({ seq }) => seq)).to.deep.equal([1, 2, 3, 4]);
    expect(checkDatabaseFile(file.path)).to.equal(migrations.length);
  });

  it('that accept one invitation at the same moment: one does', async () => {
    const store = await file.open();
    const invitation = newInvitation();
    await store.invitations.create(invitation);
    const outcomes = await together(3, 'accept', invitation.id);
    expect(outcomes.sort()).to.deep.equal(['invitation_refused', 'invitation_refused', 'stored']);
    expect(await store.partners.list()).to.have.length(1);
  });

  it('that want the last free project of a partner at the same moment: one gets it', async () => {
    const store = await file.open();
    const { uid, cloudId } = await store.partners.add(newPartner('east'));
    const asked = { name: 'first', userId: null, roles: null, expiresAt: null };
    const request = {
      direction: 'in',
      requestId: 'first',
      asked,
      roles: [],
      domainId: 'default',
      expiresAt: null,
    } as const;
    await store.provisions.reserve({ uid, cloudId }, request, 2);
    const outcomes = await together(3, 'provision', 'east');
    expect(outcomes.sort()).to.deep.equal(['creating', 'provision_limit', 'provision_limit']);
    expect(await store.provisions.list()).to.have.length(2);
  });

  it('read while one of them holds the write lock, and write when it lets go', async () => {
    const store = await file.open();
    const holder = start('lock');
    expect(await holder.message()).to.equal('locked');
    const epoch = await store.trustEpoch();
    let added = false;
    const adding = store.partners.add(newPartner('east')).then(() => {
      added = true;
    });
    // The event loop runs on meanwhile.
    await sleep(100);
    expect(added).to.equal(false);
    expect(await store.trustEpoch()).to.equal(epoch);
    expect(await store.partners.list()).to.deep.equal([]);
    holder.go();
    await adding;
    expect(await store.trustEpoch()).to.equal(epoch + 1);
  });

  it('give up together when the lock is held for too long, and go on afterwards', async () => {
    const store = await file.open({ busyTimeoutMs: 200 });
    const holder = start('lock');
    expect(await holder.message()).to.equal('locked');
    const startedAt = performance.now();
    const attempts = ['a', 'b', 'c', 'd', 'e'].map((cloudId) => store.partners.add(newPartner(cloudId)));
    for (const attempt of attempts) {
      const error = await rejection(attempt, 'database_locked');
      expect(error.details).to.contain(file.path);
      expect(error.retryable).to.equal(true);
    }
    expect(performance.now() - startedAt).to.be.within(200, 600);
    holder.go();
    expect(await holder.message()).to.equal('done');
    await store.partners.add(newPartner('f'));
    expect(await store.partners.list()).to.have.length(1);
  });

  it('append to one chain of the audit, each act with its record', async () => {
    expect(await together(3, 'audit')).to.deep.equal(['done', 'done', 'done']);
    const store = await file.open();
    expect(await store.audit.verify(genuine)).to.deep.include({ broken: null, records: 600 });
    expect(await store.audit.list({ kind: 'pairing' })).to.have.length((await store.partners.list()).length);
  });

  it('that are killed while many records share a transaction leave a whole chain of all that were reported', async () => {
    for (let round = 1; round <= 3; round++) {
      const before = (await (await file.open()).audit.verify(genuine)).records;
      const writer = start('auditFlood');
      let reported = 0;
      while (reported < 100 * round) reported = Number(await writer.message());
      await writer.kill();
      const found = await (await file.open()).audit.verify(genuine);
      expect(found.broken).to.equal(null);
      expect(found.records - before).to.be.at.least(reported);
    }
  });

  it('that are killed within a transaction leave nothing of it', async () => {
    const store = await file.open();
    await store.settings.set('whole', 'x');
    const writer = start('halve');
    expect(await writer.message()).to.equal('half');
    await writer.kill();
    expect(await store.settings.get('half')).to.equal(null);
    await store.settings.set('half', 'free again');
    await store.close();
    checkDatabaseFile(file.path);
    const again = await file.open();
    expect(await again.settings.get('half')).to.equal('free again');
    expect(await again.settings.get('whole')).to.equal('x');
  });

  it('that are killed at any moment lose nothing they reported, and leave each change whole, even where the log is torn', async () => {
    const writer = start('flood');
    let reported = 0;
    while (reported < 40) reported = Number(await writer.message());
    await writer.kill();

    // A copy whose log ends anywhere stands for a host that lost power.
    const wal = `${file.path}-wal`;
    const walBytes = statSync(wal).size;
    const copy = `${file.directory}/torn.db`;
    const counts: number[] = [];
    for (let i = 0; i < 12; i++) {
      copyFileSync(file.path, copy);
      copyFileSync(wal, `${copy}-wal`);
      truncateSync(`${copy}-wal`, Math.floor((walBytes * (i + 0.37)) / 12));
      counts.push(await expectWhole(copy));
      rmSync(copy);
    }
    counts.push(await expectWhole(file.path));
    expect(counts).to.deep.equal([...counts].sort((a, b) => a - b));
    expect(counts[0]).to.be.lessThan(reported);
    expect(counts.at(-1)).to.be.at.least(reported);
  });
});

/** Every partner has its one key, and the epoch counted each; returns how many there are. */
async function expectWhole(path: string): Promise<number> {
  const store = await openStore({ url: `sqlite:${path}`, keyring: testKeyring });
  const partners = await store.partners.list();
  for (const partner of partners) expect(partner.keys).to.have.length(1);
  expect(await store.trustEpoch()).to.equal(1 + partners.length);
  await store.close();
  checkDatabaseFile(path);
  return partners.length;
}
