import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { httpLimits } from '../../src/core/limits.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { type HttpFace, type Readiness, startHttp } from '../../src/http/server.ts';
import { rejection } from '../support/errors.ts';

describe('HTTP face', () => {
  let face: HttpFace;
  let readiness: Readiness = { ready: true, checks: { database: 'ok' } };
  const metrics = createMetrics();
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${face.address.port}${path}`, init);

  before(async () => {
    const address = { host: '127.0.0.1', port: 0 };
    face = await startHttp({ address, metrics, readiness: async () => readiness });
  });
  after(() => face.close());

  it('lives as long as it answers', async () => {
    const answer = await get('/healthz');
    expect([answer.status, await answer.json()]).to.deep.equal([200, { status: 'ok' }]);
  });

  it('is ready or not, and says what is missing', async () => {
    const ready = await get('/readyz');
    expect([ready.status, await ready.json()]).to.deep.equal([200, { status: 'ready', checks: { database: 'ok' } }]);
    readiness = { ready: false, checks: { database: 'database_locked' } };
    const not = await get('/readyz');
    expect([not.status, await not.json()]).to.deep.equal([
      503,
      { status: 'not ready', checks: { database: 'database_locked' } },
    ]);
  });

  it('counts what it is told, under names that Prometheus reads', async () => {
    metrics.call('ping', 'in', 'ok', 1.2);
    metrics.call('ping', 'in', 'ok', 700);
    metrics.call('ping', 'out', 'unreachable', 5);
    metrics.handshake('in', 'bootstrap');
    metrics.refusal('rate');
    metrics.refusal('rate');
    metrics.channels('out', 1);
    metrics.channels('out', 1);
    metrics.channels('out', -1);
    metrics.keystoneCall('validate', 'ok', 12);
    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    const lines = (await answer.text()).split('\n');
    for (const line of [
      'alliance_calls_total{method="ping",direction="in",outcome="ok"} 2',
      'alliance_calls_total{method="ping",direction="out",outcome="unreachable"} 1',
      'alliance_handshakes_total{direction="in",outcome="bootstrap"} 1',
      'alliance_refusals_total{reason="rate"} 2',
      'alliance_channels{direction="out"} 1',
      'alliance_keystone_calls_total{operation="validate",outcome="ok"} 1',
    ])
      expect(lines).to.include(line);
    const buckets = lines.filter(
      (line) => line.startsWith('alliance_call_duration_seconds') && line.includes('direction="in"'),
    );
    expect(buckets.find((line) => line.includes('_count'))).to.match(/ 2$/);
    expect(buckets.find((line) => line.includes('le="0.0025"'))).to.match(/ 1$/);
    expect(buckets.find((line) => line.includes('le="1"'))).to.match(/ 2$/);
    expect(buckets.find((line) => line.includes('le="+Inf"'))).to.match(/ 2$/);
    const sum = Number(
      buckets
        .find((line) => line.includes('_sum'))!
        .split(' ')
        .at(-1),
    );
    expect(sum).to.be.closeTo(0.7012, 1e-9);
    for (const line of lines) expect(line).to.match(/^(#.*|[a-z_]+(\{[^}]*\})? -?[0-9.e+-]+|)$/);
  });

  it('knows nothing else, and takes no large header', async () => {
    expect((await get('/')).status).to.equal(404);
    expect((await get('/metrics', { method: 'POST' })).status).to.equal(404);
    const large = await get('/healthz', { headers: { 'x-large': 'x'.repeat(httpLimits.headerBytes) } });
    expect(large.status).to.equal(431);
  });

  it('closes at once, also over connections that are kept alive', async () => {
    const other = await startHttp({
      address: { host: '127.0.0.1', port: 0 },
      metrics,
      readiness: async () => readiness,
    });
    const socket = connect(other.address.port, '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    const startedAt = performance.now();
    const ended = once(socket, 'close');
    socket.resume();
    await other.close();
    await ended;
    expect(performance.now() - startedAt).to.be.lessThan(1000);
  });

  it('says when its address is taken', async () => {
    const refusal = await rejection(
      startHttp({ address: face.address, metrics, readiness: async () => readiness }),
      'configuration',
    );
    expect(refusal.details).to.match(/EADDRINUSE/);
    expect(refusal.field).to.equal('http.listen');
  });
});
