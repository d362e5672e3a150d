import { expect } from 'chai';
import { groupNames, parseOptions } from '../../bench/options.ts';

describe('options of the benchmark', () => {
  it('are all groups, a table and seven rounds where nothing is said', () => {
    expect(parseOptions([])).to.deep.equal({ groups: [...groupNames], json: false, rounds: 7 });
  });

  it('take groups, JSON and rounds', () => {
    expect(parseOptions(['--only', 'rpc', '--json', '--rounds', '5'])).to.deep.equal({
      groups: ['rpc'],
      json: true,
      rounds: 5,
    });
  });

  for (const args of [
    ['--only', 'grpc'],
    ['--rounds', '4'],
    ['--rounds', '5.5'],
    ['--rounds', 'x'],
    ['--fast'],
    ['rpc'],
  ])
    it(`refuse ${args.join(' ')}`, () => {
      expect(() => parseOptions(args)).to.throw(Error);
    });

  it('say which groups there are', () => {
    expect(() => parseOptions(['--only', 'chunks'])).to.throw(
      '--only chunks: no such group; there is rpc, tokens, images.',
    );
  });
});
