/** `serve` for as long as the command line has none of its own: `serve.js HOME`. */
import { startBroker } from '../src/broker/broker.ts';

const broker = await startBroker({ home: process.argv[2]!, env: {} });
console.log('ready');
process.once('SIGTERM', () => {
  broker.stop().then(
    () => process.exit(),
    () => process.exit(1),
  );
});
