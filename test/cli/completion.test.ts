import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { checked } from '../support/jsonSchema.ts';

const scriptFor = async (shell: string) => (await runCommand(['completion', shell])).stdout;

describe('cli/completion', () => {
  it('bash completes commands, their commands and their options', async () => {
    const script = await scriptFor('bash');
    const complete = (line: string): string[] => {
      const words = line.split(' ');
      const array = words.map((word) => `'${word}'`).join(' ');
      const ask = `COMP_WORDS=(${array}); COMP_CWORD=${words.length - 1}; _alliance; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr, status } = spawnSync('bash', ['-c', `${script}\n${ask}`], { encoding: 'utf8' });
      expect([status, stderr]).to.deep.equal([0, '']);
      return stdout.trim().split('\n');
    };
    expect(complete('alliance part')).to.deep.equal(['partner']);
    expect(complete('alliance partner re')).to.deep.equal(['renew', 'resume', 'revoke', 'remove']);
    expect(complete('alliance --json partner invite --t')).to.deep.equal(['--ttl', '--trust-till']);
    expect(complete('alliance partner approve west --c')).to.deep.equal(['--code', '--continuity']);
    expect(complete('alliance ')).to.include.members(['init', 'serve', 'demo', '--home']);
    expect(complete('alliance partner accept --file /etc/passw')).to.include('/etc/passwd');
  });

  for (const shell of ['zsh', 'fish'])
    it(`${shell} gets every command and option`, async () => {
      const script = await scriptFor(shell);
      for (const word of ['doctor', 'with-kek', 'trust-till', 'rotate']) expect(script).to.contain(word);
      const { status } = spawnSync(shell, ['-n'], { input: script });
      // Where the shell is installed, it reads the script without complaint.
      if (status !== null) expect(status).to.equal(0);
    });

  it('--json holds the script', async () => {
    const { stdout } = await runCommand(['completion', 'bash', '--json']);
    expect(checked('completion', JSON.parse(stdout)).script).to.equal(await scriptFor('bash'));
  });
});
