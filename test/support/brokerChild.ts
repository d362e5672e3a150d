/** A broker in a process of its own; see brokerProcess.ts. */
import { startBroker } from '../../src/broker/broker.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
const broker = await startBroker(options);

process.on('message', (request) => {
  if (request === 'rss') {
    globalThis.gc?.();
    process.send!({ rss: process.memoryUsage().rss });
  }
});
// Whoever started it is gone, in whatever way.
process.on('disconnect', () => process.exit());
process.send!({ addresses: broker.addresses });
