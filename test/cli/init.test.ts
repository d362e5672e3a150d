import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';

describe('alliance init', () => {
  const directory = temporaryDirectory();
  after(() => directory.remove());

  const steps = async (home: string, asVariable: boolean) => {
    const args = ['init', '--cloud-id', 'east', '--advertise', 'tls://127.0.0.1:9443'];
    const { code, stdout } = await runCommand(args, asVariable ? { env: { ALLIANCE_HOME: home } } : { home });
    expect(code).to.equal(0);
    return [...stdout.matchAll(/^ {2}\d\. (alliance .*)$/gm)].map(([, step]) => step);
  };
  const words = ['config check', 'serve', 'partner invite'];

  it('tells next steps that lead to the same home', async () => {
    const plain = directory.file('plain');
    expect(await steps(plain, false)).to.deep.equal(words.map((word) => `alliance --home ${plain} ${word}`));
    const odd = directory.file("it's odd");
    const quoted = `'${odd.replace("'", "'\\''")}'`;
    expect(await steps(odd, false)).to.deep.equal(words.map((word) => `alliance --home ${quoted} ${word}`));
    expect(await steps(directory.file('variable'), true)).to.deep.equal(words.map((word) => `alliance ${word}`));
  });
});
