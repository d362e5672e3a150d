import { expect } from 'chai';
import { coresOf, onOneCore } from '../../bench/cores.ts';

describe('cores of a process', () => {
  it('are read as the kernel lists them', () => {
    expect(coresOf('Name:\tnode\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n')).to.deep.equal({
      all: '0-1',
      first: '0',
    });
    expect(coresOf('Cpus_allowed_list:\t12,14-15\n')).to.deep.equal({ all: '12,14-15', first: '12' });
    expect(coresOf('')).to.equal(undefined);
  });

  it('the work is done where processes cannot be held, and its failure is told', async () => {
    const nobody = 2 ** 30;
    expect(await onOneCore([nobody], async () => 'done')).to.equal('done');
    const failed = onOneCore([process.pid], async () => {
      throw new Error('no');
    });
    expect(await failed.catch((error: Error) => error.message)).to.equal('no');
  });
});
