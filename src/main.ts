#!/usr/bin/env node
/** The `alliance` command: the world of this process, handed to the command line. */
import { holdYoungGeneration } from './core/youngGeneration.ts';

// Imported only now, so that it loads into a young generation that is held.
holdYoungGeneration();
const { runCli } = await import('./cli/program.ts');

const { argv, env, stdin, stdout, stderr } = process;
let outlives = false;
const outliveReader = () => {
  outlives = true;
};
// A reader that has seen enough (`alliance partner list | head -1`) is no error.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (!outlives) process.exit(0);
});
process.exitCode = await runCli({ argv: argv.slice(2), env, stdin, stdout, stderr, outliveReader });
