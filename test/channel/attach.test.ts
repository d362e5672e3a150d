import { expect } from 'chai';
import fc from 'fast-check';
import {
  type AttachRequestFields,
  type AttachResponseFields,
  answerAttach,
  noBinding,
  startAttach,
} from '../../src/channel/attach.ts';
import { type AttachContext, attachContext, attachMac } from '../../src/channel/keys.ts';
import { refusal } from '../support/errors.ts';
import { labelled } from '../support/randomness.ts';

const secret = labelled('attach secret', 32);
const side = (cloudId: string) => ({ cloudId, fingerprint: labelled(`attach ${cloudId}`, 32) });
const context: AttachContext = {
  sid: labelled('attach sid', 16),
  initiator: side('east'),
  responder: side('west'),
  binding: noBinding,
};
const lowOrderKeys = [Buffer.alloc(32), Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])];

function run(ours = context, theirs = context, ourSecret = secret, theirSecret = secret) {
  const initiator = startAttach(ourSecret, ours);
  const responder = answerAttach(theirSecret, theirs, initiator.request);
  return { initiator, responder };
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[(bit >> 3) % copy.length]! ^= 1 << (bit & 7);
  return copy;
}

describe('attach', () => {
  it('gives both sides the same keys, each for its own direction', () => {
    const { initiator, responder } = run();
    const keys = initiator.finish(responder.response);
    expect(keys.sendKey.equals(responder.keys.receiveKey) && keys.sendIv.equals(responder.keys.receiveIv)).to.equal(
      true,
    );
    expect(keys.receiveKey.equals(responder.keys.sendKey) && keys.receiveIv.equals(responder.keys.sendIv)).to.equal(
      true,
    );
    expect(keys.sendKey.equals(keys.receiveKey)).to.equal(false);
    expect(keys.sendIv.equals(keys.receiveIv)).to.equal(false);
  });

  it('gives every connection keys of its own, also for a request that is replayed', () => {
    const { initiator, responder } = run();
    const replayed = answerAttach(secret, context, initiator.request);
    const another = run().responder;
    const keys = [responder, replayed, another].map((each) => each.keys.sendKey.toString('hex'));
    expect(new Set(keys).size).to.equal(3);
    // Who replays holds no ephemeral key: the answer is worthless to it, and to the one who sent the request first as well.
    const second = startAttach(secret, context);
    refusal(() => second.finish(replayed.response), 'session_invalid');
  });

  it('the responder refuses a request with any bit of any field changed', () => {
    const { request } = startAttach(secret, context);
    const name = fc.constantFrom<keyof AttachRequestFields>('epk', 'nonce', 'mac');
    fc.assert(
      fc.property(name, fc.nat({ max: 255 }), (field, bit) => {
        const changed = { ...request, [field]: flipped(request[field], bit) };
        refusal(() => answerAttach(secret, context, changed), 'session_invalid');
      }),
    );
    const otherSid = { ...context, sid: flipped(context.sid, 0) };
    refusal(() => answerAttach(secret, otherSid, request), 'session_invalid');
  });

  it('the initiator refuses a response with any bit of any field changed', () => {
    const name = fc.constantFrom<keyof AttachResponseFields>('epk', 'nonce', 'mac');
    fc.assert(
      fc.property(name, fc.nat({ max: 254 }), (field, bit) => {
        const { initiator, responder } = run();
        const changed = { ...responder.response, [field]: flipped(responder.response[field], bit) };
        refusal(() => initiator.finish(changed), 'session_invalid');
      }),
      { numRuns: 40 },
    );
  });

  it('a field of another length is refused on both sides', () => {
    const { request } = startAttach(secret, context);
    for (const field of ['epk', 'nonce', 'mac'] as const)
      for (const size of [0, 31, 33, 64]) {
        const value = Buffer.concat([request[field], request[field]]).subarray(0, size);
        refusal(() => answerAttach(secret, context, { ...request, [field]: value }), 'session_invalid');
        const { initiator, responder } = run();
        refusal(() => initiator.finish({ ...responder.response, [field]: value }), 'session_invalid');
      }
  });

  it('is refused with another session secret', () => {
    refusal(() => run(context, context, labelled('other', 32)), 'session_invalid');
  });

  const { initiator, responder } = context;
  const views: [string, AttachContext][] = [
    ['another binding', { ...context, binding: labelled('exporter', 32) }],
    ['exchanged roles', { ...context, initiator: responder, responder: initiator }],
    ['another initiator', { ...context, initiator: { ...initiator, cloudId: 'north' } }],
    ['another responder', { ...context, responder: { ...responder, cloudId: 'north' } }],
    ['another key of the initiator', { ...context, initiator: { ...initiator, fingerprint: responder.fingerprint } }],
    ['another key of the responder', { ...context, responder: { ...responder, fingerprint: initiator.fingerprint } }],
    [
      'cloud_ids cut elsewhere',
      { ...context, initiator: { ...initiator, cloudId: 'eastw' }, responder: { ...responder, cloudId: 'est' } },
    ],
  ];
  for (const [what, theirs] of views)
    it(`is refused when the other side sees ${what}`, () => {
      refusal(() => run(context, theirs), 'session_invalid');
      refusal(() => run(theirs, context), 'session_invalid');
    });

  it('works with a binding that both see', () => {
    const bound = { ...context, binding: labelled('exporter', 32) };
    const both = run(bound, bound);
    both.initiator.finish(both.responder.response);
  });

  it('a request reflected to its sender is refused', () => {
    const ours = startAttach(secret, context);
    const asResponder = { ...context, initiator: responder, responder: initiator };
    refusal(() => answerAttach(secret, asResponder, ours.request), 'session_invalid');
    const { epk, nonce, mac } = ours.request;
    refusal(() => ours.finish({ epk, nonce, mac }), 'session_invalid');
  });

  it('a response to another request is refused', () => {
    const one = startAttach(secret, context);
    const two = run();
    refusal(() => one.finish(two.responder.response), 'session_invalid');
  });

  it('a key of low order is refused on both sides', () => {
    for (const epk of lowOrderKeys) {
      const both = run();
      refusal(() => both.initiator.finish({ ...both.responder.response, epk }), 'session_invalid');
      const nonce = labelled('nonce', 32);
      // Only who holds the session's secret gets this far.
      const mac = attachMac(secret, attachContext(context, epk, nonce));
      const error = refusal(
        () => answerAttach(secret, context, { sid: context.sid, epk, nonce, mac }),
        'session_invalid',
      );
      expect(error.details).to.contain('low order');
    }
  });

  it('is finished once', () => {
    const both = run();
    both.initiator.finish(both.responder.response);
    refusal(() => both.initiator.finish(both.responder.response), 'internal');
  });
});
