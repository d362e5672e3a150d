import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { freePortLimits } from '../../src/core/limits.ts';
import { findFreePort } from '../../src/server/freePort.ts';

describe('findFreePort', () => {
  it('finds ports below those of outgoing connections, free, and none twice', async () => {
    const ports = await Promise.all(Array.from({ length: 40 }, () => findFreePort()));
    expect(new Set(ports).size).to.equal(40);
    for (const port of ports) expect(port).to.be.within(freePortLimits.first, freePortLimits.last);
    const server = createServer().listen(ports[0], '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  });

  it('fails at once for an address that is not this machine’s', async () => {
    const failure = await findFreePort('192.0.2.1').catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'EADDRNOTAVAIL');
  });
});
