import { expect } from 'chai';
import type { PartnerUid } from '../../src/core/ids.ts';
import { foreignLimits } from '../../src/core/limits.ts';
import type { Heard } from '../../src/token/issuer.ts';
import { Silences } from '../../src/token/silences.ts';
import { bodyOf, createForeignWorld } from '../support/foreign.ts';

const late: Heard = { kind: 'undecided', reason: 'deadline_exceeded', retryAfterMs: undefined, away: true };
const invalid: Heard = { kind: 'invalid' };

describe('token/silences', () => {
  const [east, north] = ['east', 'north'] as unknown as PartnerUid[];
  let now: number;
  let asked: number;
  let silences: Silences;
  beforeEach(() => {
    [now, asked] = [0, 0];
    silences = new Silences(() => now);
  });

  const ask = (uid: PartnerUid, heard: Heard, ms: number) =>
    silences.run(uid, async () => {
      asked += 1;
      now += ms;
      return heard;
    });
  /** A question that goes on until it is answered. */
  const begin = (uid: PartnerUid) => {
    let answer = (_heard: Heard): void => undefined;
    const heard = silences.run(uid, () => {
      asked += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    return { heard, answer: (given: Heard) => answer(given) };
  };
  const silence = async (uid: PartnerUid) => {
    for (let n = 0; n < foreignLimits.silentQuestions; n++) await ask(uid, late, foreignLimits.silentMs);
    asked = 0;
  };

  it('a silent partner is asked one question at a time; others hear at once what came of the last one', async () => {
    await silence(east!);
    const trial = begin(east!);
    expect(await ask(east!, invalid, 0)).to.equal(late);
    expect(asked).to.equal(1);
    now += foreignLimits.silentMs;
    trial.answer(late);
    expect(await trial.heard).to.equal(late);
    const again = begin(east!);
    expect(asked).to.equal(2);
    again.answer(invalid);
    await again.heard;
    await Promise.all([ask(east!, invalid, 0), ask(east!, invalid, 0)]);
    expect(asked).to.equal(4);
  });

  it('goes on after a trial that threw', async () => {
    await silence(east!);
    const failed = await silences.run(east!, () => Promise.reject(new Error('ours'))).catch(() => 'thrown');
    expect(failed).to.equal('thrown');
    await ask(east!, invalid, 0);
    expect(asked).to.equal(1);
  });

  it('one is silent by itself, and not by what it refuses quickly', async () => {
    await silence(east!);
    const [first, second] = [begin(north!), begin(north!)];
    expect(asked).to.equal(2);
    for (const { answer, heard } of [first, second]) {
      answer(late);
      await heard;
    }
    for (let n = 0; n < 9; n++) await ask(north!, late, foreignLimits.silentMs - 1);
    const [third, fourth] = [begin(north!), begin(north!)];
    expect(asked).to.equal(2 + 9 + 2);
    for (const { answer } of [third, fourth]) answer(invalid);
  });

  it('spares those who ask the facade the wait: undecided at once, and an old answer counts where it may', async () => {
    const world = createForeignWorld(['east']);
    const { partner, tokens } = world.partners.get('east')!;
    tokens.set('good', bodyOf('audit', { issuedAt: world.clock.now(), expiresAt: world.clock.now() + 3_600_000 }));
    const validate = (token: string) =>
      world.foreign.validate({ partner, token, by: 'qualified' }, { allowExpired: false });
    world.partners.get('east')!.away = true;
    for (let n = 0; n < foreignLimits.silentQuestions; n++) {
      let end = (): void => undefined;
      world.gate = new Promise<void>((resolve) => {
        end = resolve;
      });
      const heard = validate(`garbage${n}`);
      await new Promise(setImmediate);
      world.clock.pass(foreignLimits.askMs);
      end();
      expect((await heard).kind).to.equal('undecided');
    }
    world.gate = new Promise(() => undefined);
    void validate('the one that tries');
    await new Promise(setImmediate);
    const before = world.sent.length;
    const verdict = await validate('good');
    expect([verdict.kind, world.sent.length]).to.deep.equal(['undecided', before]);
  });
});
