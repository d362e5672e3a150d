import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { expect } from 'chai';
import { startDemoCloud } from '../../src/cli/demoCloud.ts';
import { tellServiceStory } from '../../src/cli/demoService.ts';
import { tellStory } from '../../src/cli/demoStory.ts';
import { silentLogger } from '../../src/core/log.ts';
import { runAlliance } from '../support/alliance.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { checked } from '../support/jsonSchema.ts';
import { type Service, startService } from '../support/servedCloud.ts';

describe('cli/demo', function () {
  this.timeout(120_000);

  it('demo --exit tells the whole story in plain lines, and ends with 0', async () => {
    const { code, stdout, stderr } = await runAlliance(['demo', '--exit']);
    expect([code, stderr]).to.deep.equal([0, '']);
    for (const word of ['VALID, user demo', 'INVALID', 'INDETERMINATE (keystone_unreachable)', 'All of it worked'])
      expect(stdout).to.contain(word);
    expect(stdout).to.contain('200: user demo, project guests, roles member');
    expect(stdout).to.match(/401 from [\d.]+ (ms|s) after the logout on \(token_cache_time is 1 s here/);
    expect(stdout)
      .to.match(/3 images, 21.0 MiB at /)
      .and.contain('3 hashes (sha512) are equal');
    expect(stdout).not.to.contain('WRONG').and.not.contain('\x1b');
  });

  it('stays up for commands from another terminal, and cleans up on Ctrl-C', async () => {
    const demo = startService(['demo', '--json']);
    try {
      const up = checked<{ commands: string[]; homes: { east: string } }>(
        'demo',
        JSON.parse(await demo.said(/"up"/, 40_000)),
      );
      for (const line of demo.lines) checked('demo', JSON.parse(line));
      const wanted = ['token issue', 'token validate', 'token explain', 'status'];
      // As a person would paste them; the rest of the list differs in nothing that matters here.
      for (const command of wanted.map((words) => up.commands.find((each) => each.includes(words))!)) {
        const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
        expect(status, `${command}\n${stdout}${stderr}`).to.equal(0);
      }
      demo.child.kill('SIGINT');
      expect(await demo.ended).to.equal(0);
      expect(existsSync(up.homes.east)).to.equal(false);
    } finally {
      // Nothing is left running where a command failed.
      demo.child.kill('SIGKILL');
    }
  });

  it('the next one removes the homes of one that was killed, and of no other', async () => {
    const directory = temporaryDirectory();
    const homes = () => readdirSync(directory.path).sort();
    const running: Service[] = [];
    const start = async (): Promise<Service> => {
      const demo = startService(['demo'], { env: { TMPDIR: directory.path } });
      running.push(demo);
      await demo.said(/^ 1\. /, 40_000);
      return demo;
    };
    try {
      const killed = await start();
      const [left] = homes();
      expect(left).to.match(new RegExp(`^alliance-demo-${killed.child.pid}-`));
      killed.child.kill('SIGKILL');
      await killed.ended;
      const others = [`alliance-demo-${process.pid}-AbCdEf`, 'alliance-demo-x-AbCdEf'];
      // Only root can make what is another user's.
      if (process.getuid?.() === 0) others.push(`${left}Other`);
      for (const name of others) mkdirSync(directory.file(name));
      if (others.length > 2) chownSync(directory.file(others[2]!), 65_534, 65_534);
      others.push(`${left}Link`);
      symlinkSync(directory.file(others[0]!), directory.file(`${left}Link`));
      const { child } = await start();
      expect(homes()).not.to.include(left);
      expect(homes()).to.include.members(others);
      expect(homes().filter((name) => name.startsWith(`alliance-demo-${child.pid}-`))).to.have.length(1);
    } finally {
      for (const { child } of running) child.kill('SIGKILL');
      for (const { ended } of running) await ended;
      directory.remove();
    }
  });

  it('leaves nothing where its reader has gone', async () => {
    const directory = temporaryDirectory();
    const demo = startService(['demo', '--exit'], { env: { TMPDIR: directory.path } });
    await demo.said(/^ 1\. /, 40_000);
    demo.child.stdout.destroy();
    expect(await demo.ended).to.equal(0);
    expect(readdirSync(directory.path).filter((name) => name.startsWith('alliance'))).to.deep.equal([]);
    directory.remove();
  });

  it('a step that comes out wrong is told as such', async () => {
    const directory = temporaryDirectory();
    const [east, west] = await Promise.all(
      (['east', 'west'] as const).map((cloudId) =>
        startDemoCloud({ cloudId, root: directory.path, log: silentLogger, partners: ['east', 'west'] }),
      ),
    );
    const outcomes = new Map<string, string>();
    for (const { title, run } of tellStory(east!, west!)) {
      if (title.includes('is this token valid')) east!.keystone.faults.always('500');
      if (title.includes('(soft)')) east!.keystone.faults.clear();
      outcomes.set(title, await run().then(String, (error: Error) => `WRONG ${error.message}`));
    }
    await Promise.all([east!.stop(), west!.stop()]);
    directory.remove();
    const wrong = [...outcomes].filter(([, outcome]) => outcome.startsWith('WRONG'));
    expect(wrong[0]).to.deep.equal([
      "west asks east's Keystone: is this token valid?",
      'WRONG Wrong outcome: indeterminate',
    ]);
  });

  it('a service that does not do what is expected is told as such', async () => {
    const directory = temporaryDirectory();
    const start = (cloudId: string) =>
      startDemoCloud({ cloudId, root: directory.path, log: silentLogger, partners: ['west'] });
    const [east, west] = [await start('east'), await start('west')];
    const outcomes: string[] = [];
    try {
      for (const { run } of tellStory(east, west)) await run();
      const { store, view } = west.broker.installation;
      await store.partners.apply((await store.partners.resolve('east')).uid, 'suspend');
      await view.refresh();
      for (const { run } of tellServiceStory(east, west))
        outcomes.push(await run().then(String, (error: Error) => error.message));
    } finally {
      await Promise.all([east.stop(), west.stop()]);
      directory.remove();
    }
    expect(outcomes).to.deep.equal([
      '401: without a mapping nobody has access',
      'one rule, in the language of Keystone mappings',
      'Wrong outcome: the service answers 401',
      '401: west may ask nobody about it, unless tokens.ask says so',
      'Wrong outcome: the service answers 401',
      "401; the reason is in west's audit, not in the answer",
      'Wrong outcome: the service had refused before',
    ]);
  });

  it('where it cannot even start, it ends with 1', async () => {
    const { code } = await runAlliance(['demo', '--exit'], { env: { TMPDIR: '/dev/null' } });
    expect(code).to.equal(1);
  });
});
