/** `alliance serve` as a process: signals at any time, and what surrounds it going away. */
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect } from 'chai';
import { checked } from '../support/jsonSchema.ts';
import { openServedCloud, type ServedCloud, startService } from '../support/servedCloud.ts';
import { until } from '../support/until.ts';

/** It may be closed again by the time that we look. */
const linkOf = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};

describe('serve', function () {
  this.timeout(30_000);
  let cloud: ServedCloud;
  before(async () => {
    cloud = await openServedCloud('east');
  });
  after(() => cloud.stop());
  const file = (name: string) => join(cloud.home, name);
  const eventsOf = ({ lines }: ServedCloud['service']) =>
    lines.map((line) => checked<{ event: string }>('serve', JSON.parse(line)).event);

  it('a SIGHUP during the start is a reload after it', async function () {
    if (process.platform !== 'linux') return this.skip();
    const database = new Sqlite(file('alliance.db'));
    database.exec('BEGIN IMMEDIATE');
    cloud.service = startService(['--home', cloud.home, 'serve', '--json']);
    const { pid } = cloud.service.child;
    const opened = () => readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === database.name);
    // The broker waits for its database: it has begun, and is far from ready.
    await until('the broker has opened its database', opened, 15_000);
    cloud.service.child.kill('SIGHUP');
    database.exec('ROLLBACK');
    database.close();
    await cloud.service.said(/"reloaded"/);
    await cloud.service.said(/"ready"/);
    cloud.service.child.kill('SIGTERM');
    expect(await cloud.service.ended).to.equal(0);
  });

  it('a SIGHUP during the drain does not end it', async () => {
    const service = await cloud.serve();
    // Whose peer does not end it is waited for, for a moment.
    const held = connect({ port: cloud.ports.tcp, host: '127.0.0.1', allowHalfOpen: true });
    held.on('error', () => undefined);
    await once(held, 'connect');
    service.child.kill('SIGTERM');
    await service.said(/"stopping"/);
    service.child.kill('SIGHUP');
    expect(await service.ended).to.equal(0);
    expect(eventsOf(service).at(-1)).to.equal('stopped');
    held.destroy();
  });

  it('that cannot say where it runs says why, and ends with 1', async () => {
    mkdirSync(file('broker.json'));
    const service = startService(['--home', cloud.home, 'serve', '--json']);
    cloud.service = service;
    expect(await service.ended).to.equal(1);
    expect(service.lines).to.deep.equal([]);
    expect(service.stderr()).to.contain('EISDIR');
    rmdirSync(file('broker.json'));
  });

  it('goes on when nobody reads its stdout any more, and drains', async () => {
    const service = await cloud.serve();
    service.child.stdout.destroy();
    const reloaded = () => service.stderr().split('Configuration reloaded').length - 1;
    for (let round = 1; round <= 2; round += 1) {
      service.child.kill('SIGHUP');
      await until(`reload ${round}`, () => reloaded() === round);
    }
    expect((await fetch(readyzOf())).status).to.equal(200);
    service.child.kill('SIGTERM');
    expect(await service.ended).to.equal(0);
    expect(() => readFileSync(file('broker.json'))).to.throw('ENOENT');
  });

  function readyzOf(): string {
    type Announced = { addresses: { http: { host: string; port: number } } };
    const { http } = (JSON.parse(readFileSync(file('broker.json'), 'utf8')) as Announced).addresses;
    return `http://${http.host}:${http.port}/readyz`;
  }
});
