import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { projectPath } from '../support/project.ts';

interface Entry {
  readonly version: string;
  readonly os?: string[];
  readonly integrity?: string;
  readonly optionalDependencies?: Record<string, string>;
}
interface Lock {
  readonly packages: Record<string, Entry>;
}

describe('lock', () => {
  let completeLock: (lock: Lock) => Lock;
  let missingPackages: (lock: Lock) => { name: string }[];
  before(async () => {
    ({ completeLock, missingPackages } = await import(projectPath('scripts/lock.mjs')));
  });

  const lock: Lock = JSON.parse(readFileSync(projectPath('package-lock.json'), 'utf8'));

  it('lists every platform package that the tools name', () => {
    expect(missingPackages(lock)).to.deep.equal([]);
  });

  it('writes down again what a registry mirror left out', () => {
    const kept = Object.entries(lock.packages).filter(([path, { integrity }]) => path === '' || integrity);
    const cut = { ...lock, packages: Object.fromEntries(kept) };
    expect(missingPackages(cut).length).to.be.greaterThan(0);
    expect(completeLock(cut)).to.deep.equal(lock);
  });

  it('refuses to guess what is no platform package', () => {
    const packages = { 'node_modules/a': { version: '1.0.0', optionalDependencies: { 'some-addon': '1.0.0' } } };
    expect(() => completeLock({ packages })).to.throw('some-addon@1.0.0');
  });
});
