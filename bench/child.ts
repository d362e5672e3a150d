/** One process of the benchmark: `child.js serve|load CONTENDER`. Talks to its parent by messages and ends with it. */
import { type ContenderName, loadContender } from './contenders/index.ts';
import type { Load } from './load.ts';

const [role, name] = process.argv.slice(2);
const { serve, measure } = await loadContender(name as ContenderName);
const tell = (message: object): void => void process.send?.(message);

process.once('disconnect', () => process.exit());
process.on('message', (load: Load) => {
  measure(load).then(
    (perS) => tell({ perS }),
    (error: unknown) => tell({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
tell({ port: role === 'serve' ? await serve?.() : 0 });
