/** `alliance image` on scenarios. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { expect } from 'chai';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { checked } from '../support/jsonSchema.ts';

const row = (region: string, name: string, id: string, size: number, checksum: string, properties = '{}'): string =>
  `${region},${name},${id},active,${size},${checksum},tid,True,${properties}\r\n`;

describe('cli/image', () => {
  const directory = temporaryDirectory();
  const conf = directory.file('glancesync.conf');
  let n = 0;

  /** A scenario of its own: the master M, and the regions A, B and other:C. */
  function scenario(): string {
    const path = directory.file(`scenario-${n++}`);
    mkdirSync(path);
    const master = [
      row('M', 'kernel', 'm1', 900, 'c1'),
      row('M', 'ami', 'm2', 10, 'c2', `"{'kernel_id': 'm1', 'type': 'x'}"`),
      row('M', 'big', 'm3', 5000, 'c3'),
    ];
    writeFileSync(`${path}/backup_M.csv`, master.join(''));
    writeFileSync(`${path}/backup_A.csv`, row('A', 'big', 'a1', 5000, 'other'));
    writeFileSync(`${path}/backup_master:B.csv`, '');
    writeFileSync(`${path}/backup_other:C.csv`, row('other:C', 'kernel', 'c1', 900, 'c1', "{'local': '1'}"));
    writeFileSync(`${path}/notes.txt`, 'no region');
    return path;
  }
  const filesOf = (path: string) =>
    Object.fromEntries(
      readdirSync(path)
        .sort()
        .map((name) => [name, readFileSync(`${path}/${name}`, 'utf8')]),
    );
  const run = (args: string, env: Record<string, string> = {}) =>
    runCommand(['image', ...args.split(' '), '--glancesync-config', conf], { home: directory.file('none'), env });
  async function json<T>(name: string, args: string): Promise<T & { code: number }> {
    const { code, stdout, stderr } = await run(`${name} ${args} --json`);
    expect(stderr).to.equal('');
    return { code, ...checked<T & object>(`image-${name}`, JSON.parse(stdout)) };
  }

  before(() => writeFileSync(conf, '[main]\nmaster_region = M\n[DEFAULT]\ntenant = t\n[master]\n[other]\n'));
  after(() => directory.remove());

  it('status, in all its forms', async () => {
    const path = scenario();
    const csv = await run(`status B A --scenario ${path} --format csv`);
    expect([csv.code, csv.stdout]).to.deep.equal([
      0,
      [
        'pending_upload,B,ami\r\npending_upload,B,kernel\r\npending_upload,B,big\r\n\n',
        'pending_upload,A,ami\r\npending_upload,A,kernel\r\nerror_checksum,A,big\r\n\n',
      ].join(''),
    ]);
    expect(csv.stderr).to.contain('A: big: The content differs');
    const table = await run(`status other: --scenario ${path}`);
    expect(table.stdout).to.match(/^STATUS +REGION +IMAGE\npending_upload +other:C +ami\n/);
    const found = await json<{ master: string; regions: { region: string; images: object[] }[] }>(
      'status',
      `--scenario ${path}`,
    );
    expect([found.code, found.master, found.regions.map(({ region }) => region)]).to.deep.equal([0, 'M', ['A', 'B']]);
    expect(found.regions[0]!.images[2]).to.deep.include({ status: 'error_checksum', name: 'big', id: 'm3' });
    const formatted = await run(`status --scenario ${path} --format json`);
    expect(JSON.parse(formatted.stdout).master).to.equal('M');
    expect((await run(`status --scenario ${path} --format csv --json`)).code).to.equal(2);
  });

  it('plan: what is sent in which order, with links to what is sent before', async () => {
    interface Plan {
      readonly regions: {
        region: string;
        bytes: number;
        actions: { action: string; name: string; properties: object }[];
      }[];
    }
    const path = scenario();
    const before = filesOf(path);
    const { regions } = await json<Plan>('plan', `B other:C --scenario ${path}`);
    expect(regions.map(({ bytes }) => bytes)).to.deep.equal([5910, 5010]);
    const actions = regions.map((region) => region.actions.map(({ action, name }) => `${action} ${name}`));
    expect(actions).to.deep.equal([
      ['upload kernel', 'upload ami', 'upload big'],
      ['update kernel', 'upload ami', 'upload big'],
    ]);
    expect(regions[0]!.actions[1]!.properties).to.deep.equal({ type: 'x', kernel_id: { id_of: 'kernel' } });
    expect(regions[1]!.actions[1]!.properties).to.deep.equal({ type: 'x', kernel_id: 'c1' });
    expect((await run(`plan B --scenario ${path}`)).stdout).to.match(/^ACTION +REGION/);
    expect(filesOf(path)).to.deep.equal(before);
  });

  it('diff: the fields that differ', async () => {
    interface Diff {
      readonly regions: { images: { name: string; differences: object[] }[] }[];
    }
    const path = scenario();
    const { regions } = await json<Diff>('diff', `A other: --scenario ${path}`);
    expect(regions.map(({ images }) => images.map(({ differences }) => differences))).to.deep.equal([
      [[{ field: 'checksum', master: 'c3', region: 'other' }]],
      [[{ field: 'local', master: null, region: '1' }]],
    ]);
    const csv = await run(`diff A other: --scenario ${path} --format csv`);
    expect(csv.stdout).to.equal('A,big,checksum,c3,other\r\n\nother:C,kernel,local,-,1\r\n\n');
  });

  it('sync rewrites the scenario, and a second one changes nothing', async () => {
    interface Sync {
      readonly code: number;
      readonly in_sync: boolean;
      readonly dry_run: boolean;
    }
    const path = scenario();
    const before = filesOf(path);
    const trial = await json<Sync>('sync', `B --scenario ${path} --dry-run`);
    expect([trial.code, trial.in_sync, trial.dry_run]).to.deep.equal([0, false, true]);
    expect(filesOf(path)).to.deep.equal(before);
    const done = await json<Sync>('sync', `B --scenario ${path}`);
    expect([done.code, done.in_sync, done.dry_run]).to.deep.equal([0, true, false]);
    const after = filesOf(path);
    expect(after['backup_master:B.csv']).to.equal(
      [
        row('B', 'kernel', '1$kernel', 900, 'c1'),
        row('B', 'ami', '1$ami', 10, 'c2', `"{'type': 'x', 'kernel_id': '1$kernel'}"`),
        row('B', 'big', '1$big', 5000, 'c3'),
      ].join(''),
    );
    expect({ ...after, 'backup_master:B.csv': '' }).to.deep.equal(before);
    expect((await run(`sync B --scenario ${path}`)).stdout).to.equal('');
    expect(filesOf(path)).to.deep.equal(after);
    expect((await run(`status B --scenario ${path} --format csv`)).stdout).to.equal(
      'ok,B,ami\r\nok,B,kernel\r\nok,B,big\r\n\n',
    );
  });

  it('sync into another directory writes all regions there, and tells how far it came', async () => {
    const path = scenario();
    const before = filesOf(path);
    const out = directory.file('out/deep');
    const { code } = await run(`sync A B --scenario ${path} --scenario-out ${out}`);
    expect(code).to.equal(3);
    expect(filesOf(path)).to.deep.equal(before);
    expect(readdirSync(out).sort()).to.deep.equal([
      'backup_A.csv',
      'backup_B.csv',
      'backup_M.csv',
      'backup_other:C.csv',
    ]);
    expect(readFileSync(`${out}/backup_A.csv`, 'utf8'))
      .to.contain('big,a1')
      .and.contain('1$ami');
  });

  it('exit codes: what cannot be planned for one region, or for all', async () => {
    const path = scenario();
    const bad = directory.file('bad.conf');
    const condition = "metadata_condition = image.user_properties['none']";
    writeFileSync(
      bad,
      `[main]\nmaster_region = M\n[DEFAULT]\ntenant = t\ncredential = u,cA==,k,t\n[other]\n${condition}\n`,
    );
    const status = (args: string) =>
      runCommand([
        'image',
        'status',
        ...args.split(' '),
        '--scenario',
        path,
        '--glancesync-config',
        bad,
        '--format',
        'csv',
      ]);
    const compat = '--compat glancesync';
    expect((await status(`A ${compat}`)).code).to.equal(0);
    const some = await status(`A other:C ${compat}`);
    expect([some.code, some.stdout.includes('other')]).to.deep.equal([3, false]);
    expect(some.stderr).to.contain('other:C: nothing can be planned. kernel: Column 1');
    expect((await status(`other:C ${compat}`)).code).to.equal(1);
    const mended = await status('other:C');
    expect([mended.code, mended.stdout]).to.deep.equal([0, '\n']);
    const sync = ['image', 'sync', 'other:C', '--scenario', path, '--glancesync-config', bad];
    expect((await runCommand(sync)).code).to.equal(1);
  });

  it('backup writes listings that are a scenario again', async () => {
    const path = scenario();
    const saved = directory.file('saved');
    const { directory: told, files } = await json<{ directory: string; files: object[] }>(
      'backup',
      `B other: --scenario ${path} --to ${saved}`,
    );
    expect(told).to.equal(saved);
    expect(files).to.deep.equal([
      { region: 'M', file: 'backup_M.csv', images: 3 },
      { region: 'B', file: 'backup_B.csv', images: 0 },
      { region: 'other:C', file: 'backup_other:C.csv', images: 1 },
    ]);
    const [before, after] = [filesOf(path), filesOf(saved)];
    for (const name of ['backup_M.csv', 'backup_other:C.csv']) expect(after[name], name).to.equal(before[name]);
    expect(after['backup_B.csv']).to.equal('');
    expect((await run(`status B --scenario ${saved}`)).code).to.equal(0);
    expect((await run(`backup B --scenario ${path} --to ${saved}-2 --format csv`)).stdout).to.equal(
      'M,backup_M.csv,3\r\nB,backup_B.csv,0\r\n',
    );
  });

  it('the configuration comes from the option, else from GLANCESYNC_CONFIG', async () => {
    const path = scenario();
    const args = ['image', 'status', 'B', '--scenario', path, '--format', 'csv'];
    expect((await runCommand(args, { env: { GLANCESYNC_CONFIG: conf } })).code).to.equal(0);
    const missing = await runCommand(args, { env: { GLANCESYNC_CONFIG: directory.file('missing') } });
    expect([missing.code, missing.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 2 && /GLANCESYNC_CONFIG/.test(text),
    );
    expect((await run(`status B --scenario ${path}`, { GLANCESYNC_CONFIG: directory.file('missing') })).code).to.equal(
      0,
    );
  });

  it('--config comes before the file', async () => {
    const path = scenario();
    const status = async (more: string): Promise<string> =>
      (await run(`status A --scenario ${path} --format csv --config ${more}`)).stdout;
    expect(await status('replace=any')).to.contain('pending_replace,A,big');
    expect(await status('master.rename=other replace=any')).to.contain('pending_rename,A,big');
  });

  it('says what is wrong with a scenario', async () => {
    const path = scenario();
    const says = async (args: string): Promise<string> => {
      const { code, stderr } = await run(args);
      expect(code).to.equal(2);
      return stderr;
    };
    expect(await says(`status Z --scenario ${path}`)).to.contain('no region "Z"');
    expect(await says(`status --scenario ${directory.file('nowhere')}`)).to.contain('ENOENT');
    mkdirSync(directory.file('empty'));
    expect(await says(`status --scenario ${directory.file('empty')}`)).to.contain('no files named');
    writeFileSync(`${path}/backup_A.csv`, 'A,too,short\n');
    expect(await says(`status --scenario ${path}`)).to.contain('backup_A.csv: Line 1: there are 3 columns');
    writeFileSync(`${path}/backup_A.csv`, '');
    writeFileSync(`${path}/backup_master:A.csv`, '');
    expect(await says(`status --scenario ${path}`)).to.contain('several files of this region');
    expect(existsSync(directory.file('none'))).to.equal(false);
  });

  it('files that are there keep mode and links', async () => {
    const path = scenario();
    const real = directory.file('elsewhere.csv');
    writeFileSync(real, '');
    chmodSync(real, 0o600);
    unlinkSync(`${path}/backup_master:B.csv`);
    symlinkSync(real, `${path}/backup_B.csv`);
    chmodSync(`${path}/backup_A.csv`, 0o666);
    expect((await run(`sync A B --scenario ${path}`)).code).to.equal(3);
    expect(lstatSync(`${path}/backup_B.csv`).isSymbolicLink()).to.equal(true);
    expect(readFileSync(real, 'utf8')).to.contain('1$kernel');
    expect([real, `${path}/backup_A.csv`].map((each) => statSync(each).mode & 0o777)).to.deep.equal([0o600, 0o666]);
  });

  it('does not write over listings of others, and says where it could not write', async () => {
    const [path, other] = [scenario(), scenario()];
    const before = filesOf(other);
    for (const [args, field] of [
      [`backup --scenario ${path} --to ${other}`, '--to'],
      [`sync --scenario ${path} --scenario-out ${other}`, '--scenario-out'],
    ] as const) {
      const { code, stderr } = await run(`${args} --json`);
      expect([code, JSON.parse(stderr)]).to.have.deep.nested.property('[1].field', field);
      expect([code, stderr.includes('backup_A.csv')]).to.deep.equal([2, true]);
    }
    expect(filesOf(other)).to.deep.equal(before);
    expect((await run(`sync B --scenario ${path} --scenario-out ${path}/.`)).code).to.equal(0);
    const failed = await run(`backup --scenario ${path} --to ${path}/notes.txt/x --json`);
    expect([failed.code, checked('error', JSON.parse(failed.stderr))]).to.have.deep.nested.property(
      '[1].field',
      '--to',
    );
    expect([failed.code, JSON.parse(failed.stderr).name]).to.deep.equal([1, 'file_not_written']);
  });

  it('refuses what is no text, which it would write back as something else', async () => {
    const path = scenario();
    writeFileSync(
      `${path}/backup_A.csv`,
      Buffer.from(`${row('A', 'x', '1', 1, 'c')}A,caf\xe9,2,active,1,c,tid,True,{}\n`, 'latin1'),
    );
    const { code, stderr } = await run(`sync A --scenario ${path}`);
    expect([code, stderr]).to.satisfy(([, text]: [number, string]) =>
      text.includes('backup_A.csv: Line 2: it is no text'),
    );
    expect(readFileSync(`${path}/backup_A.csv`, 'latin1')).to.contain('caf\xe9');
  });

  it('import-config: as the section of alliance.yaml, without passwords unless they are asked for', async () => {
    const file = directory.file('import.conf');
    writeFileSync(file, '[main]\nmaster_region = M\n[other]\ncredential = u,aHVudGVyMg==,http://k:5000/v2.0,t\n');
    const plain = await runCommand(['image', 'import-config', file]);
    expect([plain.code, plain.stdout]).to.deep.equal([
      0,
      [
        'images:',
        '  master_region: M',
        '  targets:',
        '    other:',
        '      auth:',
        '        auth_url: http://k:5000/v3',
        '        username: u',
        '        project_name: t',
        '',
      ].join('\n'),
    ]);
    expect(plain.stderr)
      .to.match(/other: the password is left out/)
      .and.match(/other\.auth\.password_file/);
    const whole = await runCommand(['image', 'import-config', file, '--with-passwords', '--json']);
    const { images } = checked<{ images: object }>('image-import-config', JSON.parse(whole.stdout));
    expect(images).to.have.nested.property('targets.other.auth.password', 'hunter2');
    expect((await runCommand(['image', 'import-config', directory.file('missing')])).code).to.equal(2);
  });

  it('regions of a scenario, those without a prefix first', async () => {
    const path = scenario();
    const csv = await run(`regions --scenario ${path} --format csv`);
    expect([csv.code, csv.stdout]).to.deep.equal([0, 'A M B other:C\n']);
    const { regions } = await json<{ regions: object[] }>('regions', `--scenario ${path}`);
    expect(regions[1]).to.deep.equal({ name: 'M', kind: 'scenario', endpoints: 0 });
  });

  it('orphans, and images from another region', async () => {
    const path = scenario();
    expect((await run(`orphans A B other: --scenario ${path}`)).stdout).to.equal('');
    expect((await run(`orphans M --from master:A --scenario ${path} --format csv`)).stdout).to.equal(
      'M,ami,m2,active,10\r\nM,kernel,m1,active,900\r\n',
    );
    expect((await run(`orphans M --from A --scenario ${path}`)).stderr).to.contain('master:REGION');
    const from = await run(`status B --from other:C --scenario ${path} --config tenant_id=tid --format csv`);
    expect([from.code, from.stdout], from.stderr).to.deep.equal([0, 'pending_upload,B,kernel\r\n\n']);
    for (const option of ['--only x', '--bwlimit 1M', '--log-dir x', '--parallel 2', '--max-bytes 1'])
      expect((await run(`sync B --scenario ${path} ${option}`)).code, option).to.equal(2);
  });

  it('config-sample', async () => {
    const plain = await runCommand(['image', 'config-sample']);
    const { text } = checked<{ text: string }>(
      'image-config-sample',
      JSON.parse((await runCommand(['image', 'config-sample', '--json'])).stdout),
    );
    expect([plain.code, plain.stdout]).to.deep.equal([0, text]);
  });
});
