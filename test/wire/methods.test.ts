import { expect } from 'chai';
import { methods as shapes } from '../../src/gen/AllianceService_shapes.js';
import { methodFacts, methodNamed, methodNames } from '../../src/wire/methods.ts';

describe('methods', () => {
  it('are those of the IDL, in its order', () => {
    expect(methodNames).to.deep.equal(Object.keys(shapes));
  });

  it('are plain only where the handshake needs them', () => {
    expect(methodNames.filter((name) => methodFacts(name).plain)).to.deep.equal([
      'getSession',
      'ping',
      'pair',
      'attach',
    ]);
  });

  it('are never sent twice where a repeat is a replay or a second login', () => {
    const once = methodNames.filter((name) => !methodFacts(name).idempotent);
    expect(once).to.deep.equal(['getSession', 'pair', 'attach', 'authenticate']);
  });

  it('are known by their own names only', () => {
    expect(methodNamed('ping')).to.equal('ping');
    for (const name of ['Ping', 'toString', '__proto__', 'constructor', ''])
      expect(methodNamed(name)).to.equal(undefined);
  });
});
