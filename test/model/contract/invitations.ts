/** What every engine must do about invitations. */
import { expect } from 'chai';
import type { CloudId, InvitationId } from '../../../src/core/ids.ts';
import { pairingLimits } from '../../../src/core/limits.ts';
import type { Acceptance, NewInvitation } from '../../../src/model/invitation.ts';
import { rejection } from '../../support/errors.ts';
import { newInvitation, newKey, newPartner, testStart } from '../../support/store.ts';
import type { Bench } from './bench.ts';

const acceptance = (cloudId: string, changes: Partial<Acceptance> = {}): Acceptance => {
  const partner = newPartner(cloudId);
  return { fingerprint: partner.key.fingerprint, now: testStart, partner, ...changes };
};

export function describeInvitations(bench: Bench): void {
  const create = async (changes: Partial<NewInvitation> = {}): Promise<NewInvitation> => {
    const invitation = newInvitation(changes);
    await bench.store.invitations.create(invitation);
    return invitation;
  };

  describe('invitations', () => {
    it('come back as they were made', async () => {
      const made = await create({ name: 'sunrise', role: 'consumer', approve: true, trustTill: 5 });
      const facts = { createdAt: testStart, usedBy: null, usedAt: null, partnerUid: null, replaceIdentity: false };
      const { kp: _, ...listed } = made;
      expect(await bench.store.invitations.find(made.id)).to.deep.equal({ ...made, ...facts });
      expect(await bench.store.invitations.list()).to.deep.equal([{ ...listed, ...facts }]);
      expect(await bench.store.invitations.find('x' as InvitationId)).to.equal(null);
    });

    it('make a partner once', async () => {
      const { invitations, partners } = bench.store;
      const { id } = await create();
      const east = acceptance('east');
      const epoch = await bench.store.trustEpoch();
      const { outcome, partner } = await invitations.consume(id, east);
      expect([outcome, partner.cloudId]).to.deep.equal(['stored', 'east']);
      expect(await bench.store.trustEpoch()).to.equal(epoch + 1);
      expect(await partners.list()).to.deep.equal([partner]);
      expect((await invitations.list())[0]).to.deep.include({
        usedBy: east.fingerprint,
        usedAt: testStart,
        partnerUid: partner.uid,
      });
      await rejection(invitations.consume(id, acceptance('west')), 'invitation_refused');
      expect(await partners.list()).to.deep.equal([partner]);
    });

    it('give the same key the same partner again, with the code of the new conversation, until they expire or the partner is gone', async () => {
      const { invitations, partners } = bench.store;
      const { id, expiresAt } = await create();
      const pending = { state: 'pending', approval: 'us' } as const;
      const accepted = acceptance('east');
      const east = { ...accepted, partner: { ...accepted.partner, ...pending } };
      const { partner } = await invitations.consume(id, east);
      const again = { ...east, now: expiresAt - 1, partner: { ...east.partner, code: 'ABCD-0123' } };
      const repeated = { ...partner, code: 'ABCD-0123' };
      expect(await invitations.consume(id, again)).to.deep.equal({ outcome: 'repeated', partner: repeated });
      await rejection(invitations.consume(id, { ...again, now: expiresAt }), 'invitation_refused');
      await partners.apply(partner.uid, 'revoke');
      await rejection(invitations.consume(id, again), 'invitation_refused');
      await partners.remove(partner.uid);
      await rejection(invitations.consume(id, again), 'invitation_refused');
    });

    it('are refused when unknown, expired, cancelled, for another cloud, or by another key than the card shows', async () => {
      const { invitations, partners } = bench.store;
      const { id, expiresAt } = await create();
      const forWest = await create({ forCloudId: 'west' as CloudId });
      const cancelled = await create();
      expect(await invitations.cancel(cancelled.id)).to.equal(true);
      expect(await invitations.cancel(cancelled.id)).to.equal(false);
      const refused: [InvitationId, Acceptance][] = [
        ['x' as InvitationId, acceptance('east')],
        [id, acceptance('east', { now: expiresAt })],
        [cancelled.id, acceptance('east')],
        [forWest.id, acceptance('east')],
        [id, acceptance('east', { fingerprint: newKey().fingerprint })],
      ];
      for (const [which, by] of refused) await rejection(invitations.consume(which, by), 'invitation_refused');
      expect(await partners.list()).to.deep.equal([]);
      expect((await invitations.consume(id, acceptance('east'))).outcome).to.equal('stored');
      expect((await invitations.consume(forWest.id, acceptance('west'))).outcome).to.equal('stored');
    });

    it('stay open when the partner cannot be stored', async () => {
      const { invitations, partners } = bench.store;
      await partners.add(newPartner('east'));
      const { id } = await create();
      await rejection(invitations.consume(id, acceptance('east')), 'identity_known');
      expect((await invitations.find(id))?.usedBy).to.equal(null);
      expect((await invitations.consume(id, acceptance('west'))).outcome).to.equal('stored');
    });

    it('are not made for a name or a cloud_id that is taken, nor with an end of trust that is none', async () => {
      await bench.store.partners.add(newPartner('east', { name: 'sunrise' }));
      for (const taken of ['east', 'sunrise']) {
        await rejection(create({ name: taken }), 'identity_known');
        await rejection(create({ forCloudId: taken as CloudId }), 'identity_known');
      }
      await rejection(create({ trustTill: 2 ** 53 - 1 }), 'bad_request');
      expect(await bench.store.invitations.list()).to.deep.equal([]);
      await create({ name: 'other', forCloudId: 'other' as CloudId });
    });

    it('let a removed cloud_id come back with another key only when made for that', async () => {
      const { invitations, partners } = bench.store;
      await partners.remove((await partners.add(newPartner('east'))).uid);
      const plain = await create();
      await rejection(invitations.consume(plain.id, acceptance('east')), 'identity_known');
      const special = await create({ replaceIdentity: true });
      expect((await invitations.consume(special.id, acceptance('east'))).outcome).to.equal('stored');
    });

    it('are used by exactly one of many who accept at once over two connections', async () => {
      const { id } = await create();
      const stores = [bench.store, await bench.another()];
      const attempts = Array.from({ length: 12 }, (_, i) =>
        stores[i % 2]!.invitations.consume(id, acceptance(`cloud${i}`)).then(
          ({ outcome }) => outcome,
          (error) => error.errorName,
        ),
      );
      const outcomes = await Promise.all(attempts);
      expect(outcomes.filter((outcome) => outcome === 'stored')).to.have.length(1);
      expect(outcomes.filter((outcome) => outcome === 'invitation_refused')).to.have.length(11);
      expect(await bench.store.partners.list()).to.have.length(1);
    });

    it('are forgotten once expired, and bounded in number while open', async function () {
      this.timeout(60_000);
      const { store, clock } = bench;
      for (let i = 0; i < pairingLimits.openInvitations; i++) await create();
      await rejection(create(), 'overloaded');
      await store.prune(clock.advance(900_000));
      expect(await store.invitations.list()).to.deep.equal([]);
      await create({ expiresAt: clock.now() + 1 });
    });
  });
}
