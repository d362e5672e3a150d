import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { type Connection, closedLoop, type Load } from '../../bench/load.ts';

const load: Load = { port: 0, home: '', token: '', connections: 3, inFlight: 2, warmupMs: 5, durationMs: 20 };

describe('closed loop of the benchmark', () => {
  it('keeps so many calls in flight on each connection, counts what is answered and closes all', async () => {
    const most: number[] = [];
    let closed = 0;
    const connect = async (): Promise<Connection> => {
      const index = most.push(0) - 1;
      let inFlight = 0;
      const call = (done: () => void): void => {
        inFlight++;
        most[index] = Math.max(most[index]!, inFlight);
        setImmediate(() => {
          inFlight--;
          done();
        });
      };
      return { call, close: () => void closed++ };
    };
    expect(await closedLoop(load, connect)).to.be.above(0);
    expect(most).to.deep.equal([2, 2, 2]);
    expect(closed).to.equal(3);
  });

  it('fails with the first call that fails, and closes all', async () => {
    let closed = 0;
    const connect = async (): Promise<Connection> => ({
      call: (_done, fail) => void delay(1).then(() => fail(new Error('refused'))),
      close: () => void closed++,
    });
    expect(await closedLoop(load, connect).catch((error: Error) => error.message)).to.equal('refused');
    expect(closed).to.equal(3);
  });
});
