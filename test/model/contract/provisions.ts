/** What every engine must do about projects across clouds. */
import { expect } from 'chai';
import { provisionLimits } from '../../../src/core/limits.ts';
import type { Partner } from '../../../src/model/partner.ts';
import type { NewProvision, ProvisionQuery } from '../../../src/model/provision.ts';
import { rejection } from '../../support/errors.ts';
import { newPartner, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

export function describeProvisions(bench: Bench): void {
  describe('projects across clouds', () => {
    let east: Partner;
    let requests = 0;
    beforeEach(async () => {
      east = await bench.store.partners.add(newPartner('east'));
    });

    const request = (changes: Partial<NewProvision> = {}): NewProvision => {
      const asked = { name: 'web', userId: null, roles: null, expiresAt: null };
      const fresh = {
        direction: 'in',
        requestId: `r${++requests}`,
        asked,
        roles: ['member'],
        domainId: 'd',
        expiresAt: null,
      } as const;
      return { ...fresh, ...changes };
    };
    const reserve = (changes?: Partial<NewProvision>, most = 9) =>
      bench.store.provisions.reserve(east, request(changes), most);
    const make = async (changes?: Partial<NewProvision>) => {
      const { id } = await reserve(changes);
      return (await bench.store.provisions.activate(id, { projectId: `p-${id}`, domainId: 'd' }))!;
    };
    const outcomes = async () => (await bench.store.audit.list({ kind: 'provisioning' })).map(({ outcome }) => outcome);

    it('are stored once by request id, direction and partner', async () => {
      const { provisions } = bench.store;
      const first = await reserve({ requestId: 'same' });
      expect(first).to.deep.include({ state: 'creating', cloudId: 'east', projectId: null, createdAt: testStart });
      expect(await reserve({ requestId: 'same', roles: [] })).to.deep.equal(first);
      expect((await reserve({ requestId: 'same', direction: 'out' })).id).not.to.equal(first.id);
      expect(await provisions.find(east.uid, 'in', 'same')).to.deep.equal(first);
      expect(await provisions.find(east.uid, 'in', 'SAME')).to.equal(null);
      expect(await outcomes()).to.deep.equal(['asked', 'asked']);
    });

    it('count until they are removed, each partner and direction for itself', async () => {
      const made = await make();
      await reserve({}, 2);
      await rejection(reserve({}, 2), 'provision_limit');
      await reserve({ direction: 'out' }, 1);
      const west = await bench.store.partners.add(newPartner('west'));
      await bench.store.provisions.reserve(west, request(), 1);
      await bench.store.provisions.beginRemoval(made.id, 'partner');
      await rejection(reserve({}, 2), 'provision_limit');
      await bench.store.provisions.endRemoval(made.id);
      expect((await reserve({}, 2)).state).to.equal('creating');
    });

    it('hold the limit over two connections', async () => {
      const stores = [bench.store, await bench.another()];
      const all = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) => stores[i % 2]!.provisions.reserve(east, request(), 3)),
      );
      expect(all.filter(({ status }) => status === 'fulfilled')).to.have.length(3);
    });

    it('go from state to state, and nowhere else', async () => {
      const { provisions } = bench.store;
      const { id, updatedAt } = await reserve();
      expect(await provisions.beginRemoval(id, 'broker')).to.equal(false);
      expect(await provisions.switchedOff(id, 1)).to.equal(false);
      bench.clock.advance(5);
      expect(await provisions.touch(id)).to.equal(true);
      expect(await provisions.abandon(id, 'abandoned', updatedAt)).to.equal(false);
      expect((await provisions.activate(id, { projectId: 'p', domainId: 'd2' }))!.domainId).to.equal('d2');
      expect(await provisions.activate(id, { projectId: 'q', domainId: 'd' })).to.equal(null);
      expect(await provisions.touch(id)).to.equal(false);
      expect(await provisions.abandon(id, 'abandoned')).to.equal(false);
      expect(await provisions.noticed(id)).to.equal(true);
      await provisions.endRemoval(id);
      expect(await provisions.switchedOff(id, testStart + 50)).to.equal(true);
      expect((await provisions.list())[0]).to.deep.include({ state: 'off', expiresAt: testStart + 50 });
      expect(await provisions.beginRemoval(id, 'broker')).to.equal(true);
      expect(await provisions.beginRemoval(id, 'broker')).to.equal(false);
      await provisions.fail(id, 'keystone_unreachable');
      expect((await provisions.list({ states: ['removing'] }))[0]!.lastError).to.equal('keystone_unreachable');
      await provisions.endRemoval(id);
      expect((await provisions.list())[0]).to.deep.include({ state: 'removed', lastError: null });
      expect(await provisions.noticed(id)).to.equal(false);
      expect(await provisions.ended(id, 'expired')).to.equal(false);
      const passed = ['asked', 'provisioned', 'removal_announced', 'switched_off', 'removal_began', 'removed'];
      expect(await outcomes()).to.deep.equal(passed);
    });

    it('that are switched off keep an earlier end', async () => {
      const { id } = await make({ expiresAt: testStart + 10 });
      await bench.store.provisions.switchedOff(id, testStart + 50);
      expect((await bench.store.provisions.list())[0]!.expiresAt).to.equal(testStart + 10);
    });

    it('are given to their user, or to all, while they are active and last', async () => {
      const { provisions } = bench.store;
      const asked = (userId: string | null) => ({ name: userId ?? 'all', userId, roles: null, expiresAt: null });
      await make({ asked: asked('ann') });
      await make({ asked: asked('bob') });
      const all = await make({ asked: asked(null), expiresAt: testStart + 10 });
      await reserve({ asked: asked('ann') });
      await make({ asked: asked('ann'), direction: 'out' });
      const names = async (user: string, now = testStart) =>
        (await provisions.projectsFor(east.uid, user, now)).map(({ name }) => name);
      expect((await names('ann')).sort()).to.deep.equal(['all', 'ann']);
      expect(await names('ann', testStart + 10)).to.deep.equal(['ann']);
      expect(await names('eve')).to.deep.equal(['all']);
      await provisions.beginRemoval(all.id, 'partner');
      expect(await names('eve')).to.deep.equal([]);
    });

    it('are remembered in no larger number than two hundred once they are removed', async () => {
      const { provisions } = bench.store;
      const last = provisionLimits.remembered + 3;
      for (let i = 1; i <= last; i++) {
        const { id } = await make({ requestId: `n${i}` });
        bench.clock.advance(1);
        await provisions.beginRemoval(id, 'partner');
        await provisions.endRemoval(id);
      }
      expect(await provisions.list()).to.have.length(provisionLimits.remembered);
      expect(await provisions.find(east.uid, 'in', 'n3')).to.equal(null);
      expect(await provisions.find(east.uid, 'in', `n${last}`)).to.deep.include({ state: 'removed' });
      const first = (await provisions.list())[0]!;
      expect(await provisions.findProject(east.uid, 'in', first.projectId!)).to.deep.equal(first);
      expect(await provisions.findProject(east.uid, 'out', first.projectId!)).to.equal(null);
    }).timeout(20_000);

    it('that partners made for us end by their time, or by the word of the partner', async () => {
      const { provisions } = bench.store;
      const asked = await reserve({ direction: 'out', expiresAt: testStart + 10 });
      const had = await make({ direction: 'out', expiresAt: testStart + 20 });
      const lasting = await make({ direction: 'out' });
      const ids = async (query: ProvisionQuery) => (await provisions.list(query)).map(({ id }) => id);
      expect(await ids({ endsBy: testStart + 9 })).to.deep.equal([]);
      expect(await ids({ endsBy: testStart + 20 })).to.have.members([asked.id, had.id]);
      expect(await ids({ endsBy: testStart + 20, limit: 1 })).to.have.length(1);
      expect(await provisions.ended(asked.id, 'expired')).to.equal(true);
      expect(await provisions.ended(asked.id, 'expired'), 'only once').to.equal(false);
      bench.clock.advance(5);
      expect(await ids({ states: ['active'], quietSince: testStart })).to.have.members([had.id, lasting.id]);
      expect(await provisions.touch(lasting.id)).to.equal(false);
      expect(await provisions.touch(lasting.id, 'active')).to.equal(true);
      expect(await ids({ states: ['active'], quietSince: testStart })).to.deep.equal([had.id]);
      expect(await provisions.ended(had.id, 'gone')).to.equal(true);
      expect(await ids({ states: ['removed'] })).to.have.members([had.id]);
      expect((await outcomes()).slice(-2)).to.deep.equal(['expired', 'gone']);
      // The clock was ahead when the other one was heard of.
      bench.clock.advance(-3);
      expect(await ids({ states: ['active'], quietSince: testStart - 9 })).to.deep.equal([lasting.id]);
    });

    it('that have expired by our clock do not count, and can still turn out to be there, or not', async () => {
      const { provisions } = bench.store;
      const expire = async (requestId: string) => {
        const { id } = await reserve({ direction: 'out', requestId }, 1);
        expect(await provisions.noticed(id)).to.equal(true);
        expect(await provisions.ended(id, 'expired')).to.equal(true);
        return id;
      };
      const state = async (requestId: string) => (await provisions.find(east.uid, 'out', requestId))?.state;
      const there = await expire('there');
      expect((await provisions.activate(there, { projectId: 'p', domainId: 'd' }))!.state).to.equal('active');
      expect(await provisions.ended(there, 'expired')).to.equal(true);
      expect(await provisions.beginRemoval(there, 'operator')).to.equal(true);
      await provisions.endRemoval(there);
      expect(await state('there')).to.equal('removed');
      expect(await provisions.ended(await expire('gone'), 'gone')).to.equal(true);
      expect(await state('gone')).to.equal('removed');
      expect(await provisions.abandon(await expire('unknown'), 'abandoned')).to.equal(true);
      expect(await state('unknown')).to.equal(undefined);
      await expire('late');
      bench.clock.advance(provisionLimits.rememberMs - 1);
      await provisions.prune(bench.clock.now());
      expect(await state('late')).to.equal('expired');
      bench.clock.advance(1);
      await provisions.prune(bench.clock.now());
      expect(await state('late')).to.equal(undefined);
    });

    it('that have expired are remembered in no larger number either, and push out none that were removed', async () => {
      const { provisions } = bench.store;
      const removed = await make({ direction: 'out' });
      await provisions.ended(removed.id, 'gone');
      for (let i = 0; i <= provisionLimits.remembered; i++) {
        bench.clock.advance(1);
        const { id } = await reserve({ direction: 'out', requestId: `n${i}` });
        await provisions.ended(id, 'expired');
      }
      expect(await provisions.list({ states: ['expired'] })).to.have.length(provisionLimits.remembered);
      expect(await provisions.find(east.uid, 'out', 'n0')).to.equal(null);
      expect((await provisions.list({ states: ['removed'] })).map(({ id }) => id)).to.deep.equal([removed.id]);
    }).timeout(20_000);

    it('say whom they were made for until they are gone', async () => {
      const { provisions } = bench.store;
      const asked = { name: 'web', userId: 'ann', roles: null, expiresAt: null };
      const { id, projectId } = await make({ asked });
      const out = await make({ direction: 'out' });
      expect(await provisions.madeFor(projectId!)).to.deep.equal({ cloudId: 'east', userId: 'ann' });
      expect(await provisions.madeFor(out.projectId!), 'one that is elsewhere').to.equal(null);
      await provisions.beginRemoval(id, 'partner');
      expect(await provisions.madeFor(projectId!)).to.deep.equal({ cloudId: 'east', userId: 'ann' });
      await provisions.endRemoval(id);
      expect(await provisions.madeFor(projectId!)).to.equal(null);
    });

    it('are forgotten after a time once they are removed; those of forgotten partners are not, unless we asked', async () => {
      const { store, clock } = bench;
      const made = await make();
      await store.provisions.beginRemoval(made.id, 'partner');
      await store.provisions.endRemoval(made.id);
      const gone = { uid: 'gone' as Partner['uid'], cloudId: east.cloudId };
      await store.provisions.reserve(gone, request(), 9);
      await store.provisions.reserve(gone, request({ direction: 'out' }), 9);
      await store.prune(clock.advance(provisionLimits.rememberMs - 1));
      const left = async () => (await store.provisions.list()).map(({ direction, state }) => `${direction} ${state}`);
      expect((await left()).sort()).to.deep.equal(['in creating', 'in removed']);
      await store.prune(clock.advance(1));
      expect(await left()).to.deep.equal(['in creating']);
    });
  });
}
