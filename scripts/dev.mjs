/** `npm run dev`: the demo, that is two embedded clouds and two brokers, restarted whenever a source file changes. */
import { spawn } from 'node:child_process';
import { root, tool } from './tree.mjs';

const args = [
  tool('tsx', 'dist/cli.mjs'),
  'watch',
  '--clear-screen=false',
  '--include=src/**/*',
  'src/main.ts',
  'demo',
];
const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
// A terminal sends Ctrl-C to both; who stops us alone means the demo too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  process.exitCode = code ?? 0;
});
