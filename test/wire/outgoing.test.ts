import { expect } from 'chai';
import { wireLimits } from '../../src/core/limits.ts';
import type { TypeText } from '../../src/gen/AllianceService_shapes.js';
import { checkOutgoing } from '../../src/wire/outgoing.ts';
import { structShape } from '../../src/wire/shape.ts';
import { refusal } from '../support/errors.ts';

function check(type: TypeText, member: unknown, required = true): void {
  checkOutgoing({ member }, structShape([{ id: 3, name: 'member', required, type }]));
}

const refused = (type: TypeText, member: unknown): string | undefined =>
  refusal(() => check(type, member), 'wire_malformed').details;

const ping: TypeText = ['struct', 'PingRequest'];
const good = { cloud_id: 'west', request_data: 'ping' };
const bad = { cloud_id: 'west' };
const status: TypeText = ['enum', 'TokenStatus'];

describe('what leaves', () => {
  it('has its required members, and may lack others', () => {
    for (const absent of [undefined, null]) {
      expect(refused(['string'], absent)).to.equal('member is missing.');
      check(['string'], absent, false);
    }
    for (const present of ['', 0, false]) check(['string'], present);
  });

  it('is checked within structs, lists, sets and maps', () => {
    check(ping, good);
    check(['list', ['set', ping]], [[good], [], [good, good]]);
    check(['map', ['string'], ping], { a: good });
    expect(refused(ping, bad)).to.equal('request_data is missing.');
    expect(refused(['list', ['set', ping]], [[good], [good, bad]])).to.equal('request_data is missing.');
    expect(refused(['map', ['string'], ping], { a: good, b: bad })).to.equal('request_data is missing.');
  });

  it('has values that their enum has', () => {
    check(status, 1);
    check(['list', status], [1, 2]);
    for (const value of [0, 99, '1']) expect(refused(status, value)).to.equal('member has an unknown value.');
    expect(refused(['list', status], [1, 99])).to.equal('member has an unknown value.');
  });

  it('has no more elements than a receiver takes', () => {
    const most = new Array<boolean>(wireLimits.containerElements).fill(true);
    check(['list', ['bool']], most);
    expect(refused(['list', ['bool']], [...most, true])).to.equal('member has too many elements.');
  });
});
