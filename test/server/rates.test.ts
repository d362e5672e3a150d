import { expect } from 'chai';
import fc from 'fast-check';
import { connectionLimits } from '../../src/core/limits.ts';
import { Rates } from '../../src/core/rates.ts';
import { createRates, UserRates } from '../../src/server/rates.ts';

const options = fc.record({
  perS: fc.integer({ min: 1, max: 1000 }),
  burst: fc.integer({ min: 1, max: 500 }),
});
/** Pauses between calls, ms; a clock may also be set back. */
const pauses = fc.array(fc.integer({ min: -50, max: 500 }), { minLength: 1, maxLength: 200 });

describe('rates', () => {
  it('no interval gets more than the burst and what comes back in it', () => {
    fc.assert(
      fc.property(options, pauses, (rate, steps) => {
        const rates = new Rates(10);
        const taken: number[] = [];
        let now = 1_000_000;
        for (const step of steps) {
          now += Math.max(0, step);
          if (rates.take('a', rate, now) === 0) taken.push(now);
        }
        for (let from = 0; from < taken.length; from++)
          for (let to = from; to < taken.length; to++) {
            const allowed = rate.burst + ((taken[to]! - taken[from]!) * rate.perS) / 1000;
            expect(to - from + 1).to.be.at.most(Math.floor(allowed + 1e-6));
          }
      }),
    );
  });

  it('whoever waits as long as he is told gets in, and not a full step earlier', () => {
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 50 }), (rate, cost) => {
        fc.pre(cost <= rate.burst);
        const used = (): Rates => {
          const rates = new Rates(10);
          while (rates.take('a', rate, 0, cost) === 0);
          return rates;
        };
        const waitMs = used().take('a', rate, 0, cost);
        expect(waitMs).to.be.greaterThan(0);
        expect(used().take('a', rate, waitMs, cost)).to.equal(0);
        expect(used().take('a', rate, waitMs - 1, cost)).to.be.greaterThan(0);
      }),
    );
  });

  it('a refusal takes nothing', () => {
    const rates = new Rates(10);
    const rate = { perS: 1, burst: 5 };
    expect(rates.take('a', rate, 0, 3)).to.equal(0);
    for (let n = 0; n < 10; n++) expect(rates.take('a', rate, 0, 3)).to.equal(1000);
    expect(rates.take('a', rate, 0, 2)).to.equal(0);
  });

  it('keys have nothing to do with each other, and no rate is no limit', () => {
    const rates = new Rates(10);
    const rate = { perS: 1, burst: 1 };
    expect([rates.take('a', rate, 0), rates.take('b', rate, 0), rates.take('a', rate, 0)]).to.deep.equal([0, 0, 1000]);
    for (let n = 0; n < 100; n++) expect(rates.take('c', { perS: 0, burst: 1 }, 0)).to.equal(0);
  });

  it('a clock that is set back gives nothing away', () => {
    const rates = new Rates(10);
    const rate = { perS: 10, burst: 1 };
    expect(rates.take('a', rate, 10_000)).to.equal(0);
    expect(rates.take('a', rate, 5000)).to.equal(100);
    expect(rates.take('a', rate, 5100)).to.equal(0);
  });

  it('a charge is taken even when it is too much, and tells when the debt is paid', () => {
    fc.assert(
      fc.property(
        options,
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 }),
        (rate, costs) => {
          const rates = new Rates(10);
          let sum = 0;
          let waitMs = 0;
          for (const cost of costs) {
            waitMs = rates.charge('a', rate, 0, cost);
            sum += cost;
          }
          const owed = Math.max(0, sum - rate.burst);
          expect(waitMs).to.equal(Math.ceil((owed * 1000) / rate.perS));
          expect(rates.take('a', rate, waitMs + Math.ceil(1000 / rate.perS))).to.equal(0);
        },
      ),
    );
  });

  it('remembers so many keys; those not heard of for longest are forgotten first', () => {
    const rates = new Rates(3);
    const rate = { perS: 0.001, burst: 1 };
    for (const key of ['a', 'b', 'c']) expect(rates.take(key, rate, 0)).to.equal(0);
    expect(rates.take('a', rate, 1)).to.be.greaterThan(0);
    expect(rates.take('d', rate, 1)).to.equal(0);
    expect(rates.take('a', rate, 1)).to.be.greaterThan(0);
    expect(rates.take('b', rate, 1)).to.equal(0);
  });

  it('a partner that makes up users makes none of another be forgotten', () => {
    const users = new UserRates(3);
    const rate = { perS: 0.001, burst: 1 };
    expect(users.take('partner', 'user', rate, 0)).to.equal(0);
    for (let n = 0; n < 100; n++) expect(users.take('other', `user ${n}`, rate, 0)).to.equal(0);
    expect(users.take('partner', 'user', rate, 1)).to.be.greaterThan(0);
    expect(users.take('other', 'user', rate, 1)).to.equal(0);
  });

  it('neither addresses nor users take the room of partners', () => {
    const { addresses, partners, users } = createRates();
    const rate = { perS: 0.001, burst: 1 };
    expect(partners.take('calls:one', rate, 0)).to.equal(0);
    for (let n = 0; n <= connectionLimits.trackedAddresses; n++) {
      addresses.take(`ping:${n}`, rate, 0);
      users.take('two', `user ${n}`, rate, 0);
    }
    expect(partners.take('calls:one', rate, 1)).to.be.greaterThan(0);
  });
});
