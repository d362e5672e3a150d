#!/usr/bin/env node
/** The `alliance` command: the world of this process, handed to the command line. */
import { holdYoungGeneration } from './core/youngGeneration.ts';

// Imported only now, so that it loads into a young generation that is held.
holdYoungGeneration();
const { guardOutput, openOutput } = await import('./cli/output.ts');
const { runCli } = await import('./cli/program.ts');

const { argv, env, stdin, stderr } = process;
const world = { argv: argv.slice(2), env, stdin, stdout: openOutput(process.stdout), stderr };
process.exitCode = await runCli(guardOutput(world, process.exit));
