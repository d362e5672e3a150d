import { expect } from 'chai';
import { closest, configurationError } from '../../src/core/configProblems.ts';

describe('configProblems', () => {
  const words: readonly [word: string, meant: string | undefined][] = [
    ['levle', 'level'],
    ['level', 'level'],
    ['lvel', 'level'],
    ['lev', undefined],
    ['x', undefined],
    ['unrelated', undefined],
  ];
  for (const [word, meant] of words)
    it(`takes ${word} for ${meant}`, () => expect(closest(word, ['region', 'level', 'interface'])).to.equal(meant));

  it('finds nothing among nothing', () => expect(closest('a', [])).to.equal(undefined));

  it('is one line for one problem and a list for more', () => {
    const one = { path: ['log', 'level'], problem: 'is missing' };
    const error = configurationError([one], () => 'line 2');
    expect(error.details).to.equal('log.level: is missing (line 2)');
    expect(error).to.include({ errorName: 'configuration', field: 'log.level' });
    const two = configurationError([one, { path: ['x'], problem: 'is wrong' }], () => undefined);
    expect(two.details).to.equal('\n  log.level: is missing\n  x: is wrong');
  });
});
