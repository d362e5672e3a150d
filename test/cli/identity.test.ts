import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { makeIdentity } from '../support/identity.ts';
import { checked } from '../support/jsonSchema.ts';

describe('alliance identity', () => {
  const directory = temporaryDirectory();
  const home = directory.file('east');
  const run = (args: string) => runCommand([...args.split(' '), '--json'], { home });
  const rotated = () => readdirSync(join(home, 'identities'));
  /** The paths of a key and its certificate, as options. */
  const ownFiles = (at: string) => {
    const { keyPem, certificatePem } = makeIdentity('east');
    writeFileSync(join(at, 'key.pem'), keyPem, { mode: 0o600 });
    writeFileSync(join(at, 'certificate.pem'), certificatePem);
    return `--key ${join(at, 'key.pem')} --certificate ${join(at, 'certificate.pem')}`;
  };

  before(async () => {
    expect((await run('init --cloud-id east --advertise tls://127.0.0.1:1')).code).to.equal(0);
  });
  after(() => directory.remove());

  it('rotate names the invitations that nobody can accept any more', async () => {
    expect((await run('partner invite --name sunset')).code).to.equal(0);
    const { stdout } = await run(`identity rotate ${ownFiles(directory.path)}`);
    const { invitations } = checked<{ invitations: { id: string; name: string }[] }>(
      'identity-rotate',
      JSON.parse(stdout),
    );
    expect(invitations.map(({ name }) => name)).to.deep.equal(['sunset']);
    expect((await run(`partner remove ${invitations[0]!.id}`)).code).to.equal(0);
  });

  it('a rotate that is refused leaves no key behind', async () => {
    const before = rotated();
    const { code, stderr } = await run('identity rotate');
    expect([code, JSON.parse(stderr).name]).to.deep.equal([1, 'rotation_overlap']);
    expect(rotated()).to.deep.equal(before);
  });

  it('rotate refuses a key that is ours, and keeps its file', async () => {
    const before = rotated();
    const files = `--key ${directory.file('key.pem')} --certificate ${directory.file('certificate.pem')}`;
    const { code, stderr } = await run(`identity rotate ${files} --compromised`);
    expect([code, JSON.parse(stderr).name]).to.deep.equal([1, 'identity_known']);
    expect(rotated()).to.deep.equal(before);
  });

  it('show and rotate work where files were exchanged by hand, as the refusal of other commands says', async () => {
    const files = ownFiles(home);
    const refused = await run('partner list');
    expect([refused.code, JSON.parse(refused.stderr).name]).to.deep.equal([1, 'configuration']);
    expect(JSON.parse(refused.stderr).remedy).to.contain('alliance identity rotate --key');
    expect((await run('identity show')).code).to.equal(0);
    const { code, stdout, stderr } = await run(`identity rotate ${files} --compromised`);
    expect(code, stderr).to.equal(0);
    checked('identity-rotate', JSON.parse(stdout));
    expect((await run('partner list')).code).to.equal(0);
  });
});
