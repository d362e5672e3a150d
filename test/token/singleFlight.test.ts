import { expect } from 'chai';
import { type Flight, SingleFlight } from '../../src/token/singleFlight.ts';
import { rejection } from '../support/errors.ts';

describe('token/singleFlight', () => {
  const joinMs = 5000;
  let now: number;
  let flights: SingleFlight<string>;
  /** What is under way, as it was started. */
  let started: { readonly flight: Flight; land(answer: string): void }[];

  beforeEach(() => {
    now = 1000;
    started = [];
    flights = new SingleFlight({ limits: { askers: 6, joinMs, questionsAlike: 3 }, now: () => now });
  });

  const ask = (key = 'a') => flights.run(key, (flight) => new Promise((land) => void started.push({ flight, land })));
  const turn = () => new Promise(setImmediate);

  it('is joined until it is old; then one more starts beside it, and is the one to join', async () => {
    const first = ask();
    now += joinMs;
    const second = ask();
    now += 1;
    const third = ask();
    now += joinMs;
    const fourth = ask();
    await turn();
    expect(started).to.have.length(2);
    started[1]!.land('new');
    expect(await Promise.all([third, fourth])).to.deep.equal(['new', 'new']);
    started[0]!.land('old');
    expect(await Promise.all([first, second])).to.deep.equal(['old', 'old']);
  });

  it('that is old is not joined when the newer one has landed', async () => {
    const first = ask();
    now += joinMs + 1;
    const second = ask();
    await turn();
    started[1]!.land('new');
    expect(await second).to.equal('new');
    await turn();
    const third = ask();
    await turn();
    for (const { land } of started) land('late');
    expect(await Promise.all([first, third])).to.deep.equal(['late', 'late']);
    expect(started).to.have.length(3);
  });

  it('has few of its kind at a time', async () => {
    const asked = [];
    for (let i = 0; i < 3; i++, now += joinMs + 1) asked.push(ask());
    await rejection(ask(), 'overloaded');
    await turn();
    started[0]!.land('x');
    expect(await asked[0]).to.equal('x');
    await turn();
    asked.push(ask(), ask('b'));
    await turn();
    for (const { land } of started) land('x');
    expect(await Promise.all(asked)).to.have.length(5);
  });

  it('is abandoned with all of its kind: none is remembered or joined', async () => {
    const asked = [ask()];
    now += joinMs + 1;
    asked.push(ask(), ask('b'));
    flights.abandon((key) => key === 'a');
    asked.push(ask());
    await turn();
    expect(started.map(({ flight }) => flight.mayKeep())).to.deep.equal([false, false, true, true]);
    for (const { land } of started) land('x');
    await Promise.all(asked);
  });

  it('is not remembered once a newer one is', async () => {
    const asked = [ask()];
    for (let i = 0; i < 2; i++) {
      now += joinMs + 1;
      asked.push(ask());
    }
    await turn();
    const mayKeep = (i: number) => started[i]!.flight.mayKeep();
    expect([mayKeep(0), mayKeep(1), mayKeep(0), mayKeep(2), mayKeep(1)]).to.deep.equal([
      true,
      true,
      false,
      true,
      false,
    ]);
    for (const { land } of started) land('x');
    await Promise.all(asked);
  });

  it('has room again for others when those who waited are answered', async () => {
    const asked = Array.from({ length: 6 }, () => ask());
    await rejection(ask('b'), 'overloaded');
    await turn();
    started[0]!.land('x');
    await Promise.all(asked);
    await turn();
    const again = ask('b');
    await turn();
    started[1]!.land('y');
    expect(await again).to.equal('y');
  });
});
