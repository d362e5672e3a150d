import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { errnoOf } from '../../src/core/errno.ts';

describe('errno', () => {
  it('tells the code of a system error', () => {
    try {
      readFileSync('/nonexistent/file');
      expect.fail('the file exists');
    } catch (error) {
      expect(errnoOf(error)).to.equal('ENOENT');
    }
  });

  it('tells the name of other errors, and the text of what is none', () => {
    expect(errnoOf(new TypeError('x'))).to.equal('TypeError');
    expect(errnoOf(Object.assign(new Error('x'), { code: 7 }))).to.equal('Error');
    expect(errnoOf('x')).to.equal('x');
  });
});
