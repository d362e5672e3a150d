import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { createSlots } from '../../../src/sync/transfer/slots.ts';
import { rejection } from '../../support/errors.ts';

describe('slots', () => {
  const { signal } = new AbortController();

  it('let so many work at a time, in their order, also where some fail', async () => {
    const slots = createSlots(2);
    const began: number[] = [];
    let [running, most] = [0, 0];
    const all = Array.from({ length: 7 }, (_, i) =>
      slots.run(async () => {
        began.push(i);
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
        if (i % 3 === 0) throw new AllianceError('internal');
      }, signal),
    );
    const states = (await Promise.allSettled(all)).map(({ status }) => status);
    expect([most, began]).to.deep.equal([2, [0, 1, 2, 3, 4, 5, 6]]);
    expect(states.filter((state) => state === 'rejected')).to.have.length(3);
  });

  it('whoever waits ends with its signal, and keeps no slot', async () => {
    const slots = createSlots(1);
    let end: () => void = () => undefined;
    const first = slots.run(() => new Promise<void>((resolve) => (end = resolve)), signal);
    const controller = new AbortController();
    const second = slots.run(async () => expect.fail('it ran'), controller.signal);
    const third = slots.run(async () => 'ran', signal);
    controller.abort(new AllianceError('sync_running'));
    await rejection(second, 'sync_running');
    end();
    await first;
    expect(await third).to.equal('ran');
    await rejection(
      slots.run(async () => undefined, controller.signal),
      'sync_running',
    );
  });
});
