#!/usr/bin/env node
/** The `alliance` command: the world of this process, handed to the command line. */
import { setFlagsFromString } from 'node:v8';

// Loading the program makes garbage for which V8 enlarges its young generation to 32 MiB, and keeps it while the broker idles. Held at
// its first size it costs a broker under load nothing measurable (docs/performance.md). It must be said before the program loads.
setFlagsFromString('--semi-space-growth-factor=1');
const { runCli } = await import('./cli/program.ts');

const { argv, env, stdin, stdout, stderr } = process;
// A reader that has seen enough (`alliance partner list | head -1`) is no error.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
process.exitCode = await runCli({ argv: argv.slice(2), env, stdin, stdout, stderr });
