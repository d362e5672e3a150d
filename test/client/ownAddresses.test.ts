import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { createDialPolicy } from '../../src/client/dialPolicy.ts';
import { OwnAddresses } from '../../src/client/ownAddresses.ts';
import { createLogger } from '../../src/core/log.ts';
import { refusal } from '../support/errors.ts';

describe('own addresses', () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', destination: { write: (line: string) => lines.push(line) } });
  const own = ['203.0.113.7', '2001:db8::7'];
  /** The system with and without netlink sockets. */
  const system = { allowed: true };
  const list = (): ReturnType<typeof networkInterfaces> => {
    if (!system.allowed) throw new Error('uv_interface_addresses returned EAFNOSUPPORT');
    return { eth0: own.map((address) => ({ address })) as ReturnType<typeof networkInterfaces>[string] };
  };
  beforeEach(() => {
    lines.length = 0;
    system.allowed = true;
  });

  it('are those of this machine', () => {
    const all = Object.values(networkInterfaces()).flatMap((some) => (some ?? []).map(({ address }) => address));
    expect(new OwnAddresses(log).read()).to.deep.equal(all);
  });

  it('stay as they were when they can no longer be read, which is said once', () => {
    const addresses = new OwnAddresses(log, list);
    addresses.read();
    system.allowed = false;
    for (let round = 0; round < 3; round += 1) expect(addresses.read()).to.deep.equal(own);
    expect(lines).to.have.lengthOf(1);
    expect(lines[0]).to.contain('AF_NETLINK').and.contain('EAFNOSUPPORT');
    system.allowed = true;
    addresses.read();
    system.allowed = false;
    addresses.read();
    expect(lines).to.have.lengthOf(2);
  });

  it('that never could be read let only those be dialled that are allowed by name', () => {
    system.allowed = false;
    const addresses = new OwnAddresses(log, list);
    const policy = createDialPolicy({ allow: ['198.51.100.0/24'], ownAddresses: () => addresses.read() });
    policy.check('partner.example', '198.51.100.1');
    expect(refusal(() => policy.check('here.example', '127.0.0.1'), 'dial_refused').details).to.match(/loopback/);
    for (let round = 0; round < 3; round += 1) {
      const { details, remedy } = refusal(() => policy.check('partner.example', '192.0.2.1'), 'dial_refused');
      expect(details).to.contain('EAFNOSUPPORT');
      expect(remedy).to.contain('AF_NETLINK');
    }
    expect(lines).to.have.lengthOf(1);
  });
});
