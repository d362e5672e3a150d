import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { projectPath } from '../support/project.ts';

describe("mapping by Keystone's own engine", () => {
  it('is still as it was recorded', () => {
    const script = projectPath('scripts', 'mappingOracle.py');
    const env = { PATH: '/usr/bin:/bin', PYTHONHASHSEED: '1' };
    const output = execFileSync('/usr/bin/python3', ['-B', '-W', 'ignore', script], { env, stdio: 'pipe' });
    const recorded = readFileSync(projectPath('test', 'token', 'mapping', 'oracle.json'), 'utf8');
    expect(JSON.parse(String(output))).to.deep.equal(JSON.parse(recorded));
  });
});
