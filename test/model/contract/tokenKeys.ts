/** What every engine must do about the keys of partners' JWS tokens. */
import { expect } from 'chai';
import type { Partner } from '../../../src/model/partner.ts';
import { rejection } from '../../support/errors.ts';
import { newPartner } from '../../support/store.ts';
import { newTokenKey } from '../../support/tokenKeys.ts';
import type { Bench } from './bench.ts';

export function describeTokenKeys(bench: Bench): void {
  describe('token keys', () => {
    const [first, second] = [newTokenKey(), newTokenKey('EdDSA')];
    let east: Partner;
    let north: Partner;
    const publish = (partner: Partner, keys = [first], own: readonly Buffer[] = []) =>
      bench.store.tokenKeys.publish(partner.uid, keys, ({ thumbprint }) => own.some((one) => one.equals(thumbprint)));
    const states = async () =>
      (await bench.store.tokenKeys.list())
        .map(
          ({ partnerUid, algorithm, state }) => `${partnerUid === east.uid ? 'east' : 'north'} ${algorithm} ${state}`,
        )
        .sort();
    const acts = async () =>
      (await bench.store.audit.list({})).flatMap(({ outcome, partner }) =>
        outcome.startsWith('token_key_') ? [`${partner} ${outcome.slice('token_key_'.length)}`] : [],
      );

    beforeEach(async () => {
      east = await bench.store.partners.add(newPartner('east'));
      north = await bench.store.partners.add(newPartner('north'));
    });

    it('are those that the partner publishes now, and its own', async () => {
      const before = await bench.store.trustEpoch();
      expect(await publish(east, [first, second])).to.deep.equal([]);
      expect(await bench.store.trustEpoch()).to.equal(before + 1);
      const [stored] = await bench.store.tokenKeys.list();
      expect([stored!.spki, stored!.thumbprint, stored!.createdAt]).to.deep.equal([
        first.spki,
        first.thumbprint,
        bench.clock.now(),
      ]);
      expect(await publish(east, [second, first])).to.deep.equal([]);
      expect(await bench.store.trustEpoch()).to.equal(before + 1);
      await publish(east, [second]);
      expect(await states()).to.deep.equal(['east EdDSA active']);
      await publish(east, []);
      expect(await states()).to.deep.equal([]);
    });

    it("two partners with one key: it is neither one's, told once, until the operator decides", async () => {
      await publish(east);
      expect(await publish(north, [first, second])).to.deep.equal([first]);
      expect(await publish(north, [first, second])).to.deep.equal([]);
      expect(await states()).to.deep.equal(['east ES256 disputed', 'north ES256 disputed', 'north EdDSA active']);
      await publish(north, []);
      await publish(east);
      expect(await states()).to.deep.equal(['east ES256 disputed']);
      await publish(north);
      await bench.store.tokenKeys.choose(east.uid, first.thumbprint);
      expect(await states()).to.deep.equal(['east ES256 chosen', 'north ES256 refused']);
      await publish(north, []);
      expect(await publish(north)).to.deep.equal([first]);
      expect(await states()).to.deep.equal(['east ES256 chosen', 'north ES256 refused']);
      await rejection(bench.store.tokenKeys.choose(north.uid, second.thumbprint), 'bad_request');
      expect(await acts()).to.include.members(['east chosen', 'north refused', 'east disputed', 'north withdrawn']);
    });

    it('one of this cloud is taken from nobody, whoever was first', async () => {
      expect(await publish(east, [first], [first.thumbprint])).to.deep.equal([first]);
      expect(await states()).to.deep.equal(['east ES256 disputed']);
      expect(await publish(north, [second])).to.deep.equal([]);
      expect(await publish(north, [second], [second.thumbprint])).to.deep.equal([second]);
      expect(await states()).to.deep.equal(['east ES256 disputed', 'north EdDSA disputed']);
    });

    it("of a removed partner are nobody's, so that it can come back with them", async () => {
      await publish(east);
      await bench.store.partners.remove(east.uid);
      expect(await states()).to.deep.equal([]);
      expect(await publish(north)).to.deep.equal([]);
      expect(await states()).to.deep.equal(['north ES256 active']);
    });
  });
}
