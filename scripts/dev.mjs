/** `npm run dev`: the demo, that is two embedded clouds and two brokers, started again whenever a source file changes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { root } from './tree.mjs';

/** Editors and git write several files one after the other. */
const settleMs = 200;
const args = [`--import=${import.meta.resolve('tsx')}`, join(root, 'src/main.ts'), 'demo', ...process.argv.slice(2)];

const sources = watch(join(root, 'src'), { recursive: true });
let demo;
let ended = false;

/** A terminal sends Ctrl-C to the demo as well, and a second signal would end it before it has cleaned up. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    ended = true;
    if (demo === undefined) process.exit(0);
    if (signal === 'SIGTERM') demo.kill(signal);
  });

while (!ended) {
  demo = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
  const exit = once(demo, 'exit').finally(() => {
    demo = undefined;
  });
  const change = once(sources, 'change');
  await Promise.race([exit, change]);
  if (ended) {
    await exit;
    break;
  }
  if (demo === undefined) console.error('dev: the demo has ended; it starts again when a source file changes.');
  await change;
  await delay(settleMs);
  console.error('dev: a source file has changed.');
  demo?.kill('SIGTERM');
  await exit;
}
sources.close();
