import { expect } from 'chai';
import { type Call, chain, type Interceptor } from '../../src/channel/interceptor.ts';

const call: Call = {
  direction: 'in',
  method: 'ping',
  argument: 'argument',
  cloudId: 'east',
  requestId: 'r',
  startedAt: 0,
};

const noting =
  (name: string, notes: string[]): Interceptor =>
  async (each, next) => {
    notes.push(`${name} before`);
    try {
      return await next(each);
    } finally {
      notes.push(`${name} after`);
    }
  };

describe('chain of interceptors', () => {
  it('without interceptors is the last function', async () => {
    expect(await chain([], async ({ argument }) => argument)(call)).to.equal('argument');
  });

  it('runs the first one outermost, also when the call fails', async () => {
    const expected = ['one before', 'two before', 'last', 'two after', 'one after'];
    for (const failing of [false, true]) {
      const notes: string[] = [];
      const run = chain([noting('one', notes), noting('two', notes)], async () => {
        notes.push('last');
        if (failing) throw new Error('no');
        return 7;
      });
      const outcome = await Promise.resolve(run(call)).catch((error: Error) => error.message);
      expect(outcome).to.equal(failing ? 'no' : 7);
      expect(notes).to.deep.equal(expected);
    }
  });

  it('one that does not go on keeps the call from what is inside', async () => {
    const notes: string[] = [];
    const refuse: Interceptor = async () => {
      throw new Error('refused');
    };
    const run = chain([noting('out', notes), refuse, noting('in', notes)], async () => notes.push('last'));
    expect(await Promise.resolve(run(call)).catch((error: Error) => error.message)).to.equal('refused');
    expect(notes).to.deep.equal(['out before', 'out after']);
  });

  it('passes on what each makes of call and value', async () => {
    const double: Interceptor = async (each, next) => ((await next({ ...each, argument: 3 })) as number) * 2;
    const increment: Interceptor = async (each, next) => ((await next(each)) as number) + 1;
    expect(await chain([double, increment], async ({ argument }) => argument)(call)).to.equal(8);
  });

  it('gives what waits for nothing at once', () => {
    expect(chain([(each, next) => next(each)], ({ argument }) => argument)(call)).to.equal('argument');
  });

  it('runs calls side by side', async () => {
    const release: (() => void)[] = [];
    const run = chain([noting('one', [])], () => new Promise<void>((resolve) => release.push(resolve)));
    const both = Promise.all([run(call), run(call)]);
    while (release.length < 2) await Promise.resolve();
    for (const resolve of release) resolve();
    await both;
  });
});
