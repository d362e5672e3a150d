/** What an operator is told about the configuration files of services that run, and whether following it works. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import type { Glance } from './glance.ts';
import { expectGuest, type Setting } from './middlewareCases.ts';
import { startService } from './service.ts';

interface Checked {
  readonly reaches_facade: boolean;
  readonly findings: readonly { readonly setting: string; readonly level: string }[];
  readonly change: { readonly line: number; readonly before: string; readonly after: string } | null;
}

export function checkCases(setting: () => Setting & { readonly glance: Glance }): void {
  async function check(conf: string): Promise<Checked & { readonly code: number }> {
    const { home, env } = setting().federation.west.cloud;
    const { code, stdout, stderr } = await runCommand(['check', 'auth-token', '--conf', conf, '--json'], { home, env });
    expect(stderr).to.equal('');
    return { ...(JSON.parse(stdout) as Checked), code };
  }
  const faults = ({ findings }: Checked) =>
    findings.filter(({ level }) => level === 'error').map((finding) => finding.setting);

  it('finds nothing wrong with services that have the facade as their auth_url', async () => {
    const { service, remembering, glance } = setting();
    for (const { conf } of [service, remembering, glance]) {
      const checked = await check(conf);
      expect(checked).to.include({ reaches_facade: true, change: null });
      expect(faults(checked)).to.deep.equal([]);
      expect(checked.code).to.be.oneOf([0, 3]);
    }
  });

  it('warns that Glance, which remembers for five minutes, follows revocations as late', async () => {
    const { findings } = await check(setting().glance.conf);
    const found = findings.find((finding) => finding.setting === 'token_cache_time');
    expect(found?.level).to.equal('warning');
  });

  it('names the one line to change, and with it the service accepts tokens of partners', async () => {
    const { federation, unchanged } = setting();
    const checked = await check(unchanged.conf);
    expect([checked.code, checked.reaches_facade]).to.deep.equal([1, false]);
    const { line, before, after } = checked.change!;
    const lines = readFileSync(unchanged.conf, 'utf8').split('\n');
    expect(lines[line - 1]).to.equal(before);
    const changed = await startService(lines.with(line - 1, after).join('\n'));
    try {
      const token = `a1.east.${await federation.east.login('ann', 'lab')}`;
      expect((await unchanged.ask(token)).status).to.equal(401);
      expectGuest(federation, await changed.ask(token), 'member');
      expect((await check(changed.conf)).reaches_facade).to.equal(true);
    } finally {
      await changed.stop();
    }
  });
}
