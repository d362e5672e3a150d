import { expect } from 'chai';
import fc from 'fast-check';
import {
  effectiveState,
  nextState,
  type TrustEvent,
  type TrustState,
  trustEvents,
  trustStates,
} from '../../src/model/trust.ts';
import { refusal } from '../support/errors.ts';

/** Written out once more, by hand: what the pages say. */
const legal: readonly (readonly [TrustState, TrustEvent, TrustState])[] = [
  ['pending', 'approve', 'active'],
  ['pending', 'revoke', 'revoked'],
  ['active', 'suspend', 'suspended'],
  ['active', 'expire', 'expired'],
  ['active', 'renew', 'active'],
  ['active', 'revoke', 'revoked'],
  ['suspended', 'resume', 'active'],
  ['suspended', 'renew', 'suspended'],
  ['suspended', 'revoke', 'revoked'],
  ['expired', 'renew', 'active'],
  ['expired', 'revoke', 'revoked'],
];

const anyState = fc.constantFrom(...trustStates);
const anyEvent = fc.constantFrom(...trustEvents);

describe('trust', () => {
  it('has the listed edges and no others', () => {
    for (const state of trustStates)
      for (const event of trustEvents) {
        const edge = legal.find(([from, by]) => from === state && by === event);
        if (edge) expect(nextState(state, event), `${state} ${event}`).to.equal(edge[2]);
        else refusal(() => nextState(state, event), 'illegal_transition');
      }
  });

  it('says what was refused for whom', () => {
    expect(refusal(() => nextState('pending', 'suspend', 'east'), 'illegal_transition').details).to.equal(
      'suspend: partner east is pending',
    );
  });

  it('never leaves revoked', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        refusal(() => nextState('revoked', event), 'illegal_transition');
      }),
    );
  });

  it('ends active and suspended trust at trust_till, on the millisecond, and nothing else', () => {
    fc.assert(
      fc.property(
        anyState,
        fc.option(fc.integer({ min: 0, max: 1000 })),
        fc.integer({ min: 0, max: 1000 }),
        (state, till, now) => {
          const over = till !== null && now >= till && (state === 'active' || state === 'suspended');
          expect(effectiveState({ state, trustTill: till }, now)).to.equal(over ? 'expired' : state);
        },
      ),
    );
  });
});
