/** Bytes from services that answer a request for a range in ways of their own. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import { createGlance } from '../../src/lproxy/glance.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { rejection } from '../support/errors.ts';
import { readAll } from '../support/glanceContract.ts';

const content = Buffer.from('0123456789');
const id = '00000000-0000-4000-8000-000000000001';

describe('bytes of a Glance', () => {
  let server: Server;
  let store: ImageStore;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const tokens = { token: async () => 'token', replace: async () => 'token' };

  before((done) => {
    server = createServer((request, response) => {
      if (request.url!.endsWith('/file')) return answer(request, response);
      const image = { id, status: 'active', visibility: 'private', size: content.length };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(image));
    }).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const endpoint = `http://127.0.0.1:${port}`;
      store = createGlance({ endpoint, label: 'test', tokens, projectId: 'p', publishes: false });
      done();
    });
  });
  after(async () => {
    await store.close();
    server.close();
  });

  it('are asked for by a range only where there is something to leave out', async () => {
    const ranges: unknown[] = [];
    answer = ({ headers }, response) => {
      ranges.push(headers.range);
      response.end(content);
    };
    expect((await readAll(store, id)).toString()).to.equal('0123456789');
    expect((await readAll(store, id, 4)).toString()).to.equal('456789');
    expect(ranges).to.deep.equal([undefined, 'bytes=4-']);
  });

  it('wait for each other, for a time, and nothing else waits for them', async () => {
    const { port } = server.address() as AddressInfo;
    const limits = { contentConnections: 2, connectionWaitMs: 200 };
    const endpoint = `http://127.0.0.1:${port}`;
    const few = createGlance({ endpoint, label: 'few', tokens, projectId: 'p', publishes: false, limits });
    answer = (_request, response) => void response.setHeader('content-length', content.length).write('01234');
    const begin = async () => {
      const bytes = few.read(id, 0)[Symbol.asyncIterator]();
      expect((await bytes.next()).value?.toString()).to.equal('01234');
      return bytes;
    };
    try {
      const [first] = await Promise.all([begin(), begin()]);
      expect((await few.get(id)).sizeBytes).to.equal(content.length);
      const { details } = await rejection(begin(), 'glance_unreachable');
      expect(details).to.equal('few: all connections are in use.');
      const gone = new AbortController();
      const aborted = few.read(id, 0, { signal: gone.signal })[Symbol.asyncIterator]().next();
      gone.abort(new AllianceError('shutting_down'));
      await rejection(aborted, 'shutting_down');
      const third = begin();
      await first.return?.();
      await third;
    } finally {
      await few.close();
    }
  });

  it('that come without a length are as many as the image has, or too few', async () => {
    answer = (_request, response) => {
      response.write(content.subarray(0, 5));
      response.end(content.subarray(5));
    };
    expect((await readAll(store, id)).toString()).to.equal('0123456789');
    expect((await readAll(store, id, 7)).toString()).to.equal('789');
    answer = (_request, response) => {
      response.write(content.subarray(0, 5));
      response.end();
    };
    const { details } = await rejection(readAll(store, id), 'glance_unreachable');
    expect(details).to.include('of 10 bytes').and.include('only 5');
  });

  it('of which a service gives a part at a time are got by parts', async () => {
    answer = ({ headers }, response) => {
      const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? 'bytes=0-')![1]);
      const end = Math.min(start + 3, content.length);
      response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${content.length}` });
      response.end(content.subarray(start, end));
    };
    let got = Buffer.alloc(0);
    let parts = 0;
    const readOn = async () => {
      for await (const piece of store.read(id, got.length)) got = Buffer.concat([got, piece]);
    };
    while (got.length < content.length) {
      parts += 1;
      if (got.length + 3 >= content.length) await readOn();
      else await rejection(readOn(), 'glance_unreachable');
    }
    expect([got.toString(), parts]).to.deep.equal(['0123456789', 4]);
  });

  it('of another place than was asked for are refused', async () => {
    for (const range of ['bytes 0-9/10', 'bytes 5-9/10', 'bytes */10', 'lines 4-9/10', '']) {
      answer = (_request, response) => {
        response.writeHead(206, range === '' ? {} : { 'content-range': range }).end(content.subarray(4));
      };
      await rejection(readAll(store, id, 4), 'glance_malformed');
    }
  });

  it('that there are none of are told from the end', async () => {
    answer = (_request, response) => response.writeHead(416).end();
    expect((await readAll(store, id, 10)).length).to.equal(0);
    await rejection(readAll(store, id, 11), 'image_conflict');
    answer = (_request, response) => response.writeHead(204).end();
    await rejection(readAll(store, id), 'image_conflict');
    answer = (_request, response) => response.writeHead(410).end('Gone');
    await rejection(readAll(store, id), 'image_not_found');
  });
});
