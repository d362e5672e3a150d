/** A client of 2014 pings us. */
import { expect } from 'chai';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { runPython } from '../support/python.ts';

describe("a client made from the prototype's IDL", function () {
  this.timeout(60_000);
  let west: Cloud;

  before(async () => {
    west = await startCloud({ cloudId: 'west' });
  });
  after(stopClouds);

  it('pings us over framed compact TCP, by either of its codecs, and reads our error', async () => {
    const answers = JSON.parse(await runPython('prototype_ping.py', '127.0.0.1', String(west.ports.tcp))) as unknown[];
    const pong = ['west', 'pong'];
    expect(answers).to.deep.equal([pong, pong, 1101, pong, pong, 1101]);
  });
});
