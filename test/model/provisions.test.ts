/** Projects across clouds on SQLite: what a partner leaves behind costs nobody time. */
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import type { PartnerUid } from '../../src/core/ids.ts';
import type { Store } from '../../src/model/store.ts';
import { rejection } from '../support/errors.ts';
import { createTestFile, newPartner, type TestFile } from '../support/store.ts';

describe('model/provisions', () => {
  let file: TestFile;
  let store: Store;
  let uid: PartnerUid;

  beforeEach(async () => {
    file = createTestFile();
    store = await file.open();
    ({ uid } = await store.partners.add(newPartner('west')));
  });
  afterEach(() => file.remove());

  function inDatabase<T>(work: (db: InstanceType<typeof Sqlite>) => T): T {
    const db = new Sqlite(file.path);
    try {
      return work(db);
    } finally {
      db.close();
    }
  }
  const make = async (requestId: string) => {
    const asked = { name: requestId, userId: null, roles: null, expiresAt: null };
    const request = { direction: 'in', requestId, asked, roles: [], domainId: 'd', expiresAt: null } as const;
    const { id } = await store.provisions.reserve({ uid, cloudId: 'west' as never }, request, 9);
    await store.provisions.activate(id, { projectId: `p-${requestId}`, domainId: 'd' });
    await store.provisions.beginRemoval(id, 'partner');
    return id;
  };

  it('a removal and the oldest that it pushes out are one transaction', async () => {
    const id = await make('a');
    const trigger = "create trigger kept before delete on provisions begin select raise(abort, 'kept'); end";
    inDatabase((db) => {
      const columns = `direction, partner_uid, cloud_id, asked, name, roles, created_at`;
      const remember = db.prepare(
        `insert into provisions (id, request_id, ${columns}, state, updated_at)
         select @id, @id, ${columns}, 'removed', 1 from provisions where state = 'removing'`,
      );
      for (let i = 0; i < 200; i++) remember.run({ id: `old${i}` });
      db.exec(trigger);
    });
    await rejection(store.provisions.endRemoval(id), 'internal');
    expect((await store.provisions.find(uid, 'in', 'a'))?.state).to.equal('removing');
    inDatabase((db) => db.exec('drop trigger kept'));
    await store.provisions.endRemoval(id);
    expect(await store.provisions.list({ states: ['removed'] })).to.have.length(200);
  });

  const searches: readonly [what: string, condition: string, index: string][] = [
    ['what counts', "state in ('creating', 'active', 'off', 'removing')", 'provisions_partner'],
    ['what gives access', "state = 'active'", 'provisions_partner'],
    ['a project', "project_id = 'p'", 'provisions_project'],
    ['a request', "request_id = 'r'", 'provisions_request'],
  ];
  for (const [what, condition, index] of searches)
    it(`${what} of a partner is found by an index of its own`, () => {
      const query = `select * from provisions where partner_uid = 'u' and direction = 'in' and ${condition}`;
      const [step] = inDatabase((db) => db.prepare(`explain query plan ${query}`).all()) as { detail: string }[];
      expect(step!.detail)
        .to.contain(`USING INDEX ${index}`)
        .and.match(/\((\w+=\? AND ){2}\w+=\?\)/);
    });

  it('whom a project was made for is found by an index, whoever the partner', () => {
    const query = `select * from provisions where project_id = 'p' and direction = 'in' and state in ('active', 'off')`;
    const [step] = inDatabase((db) => db.prepare(`explain query plan ${query}`).all()) as { detail: string }[];
    expect(step!.detail).to.contain('USING INDEX provisions_project (project_id=? AND direction=?)');
  });
});
