/** Results on standard output arrive whole, or their command has failed. */
import { fstatSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { Cli, type Output, type World } from './cli.ts';
import { reportFailure } from './failure.ts';

/**
 * A stream to a file descriptor. Where it is a file, one of our own: on a disk that becomes full, Node's takes a write that stored a part
 * for one that stored all, and the end of a result would be missing with exit code 0.
 */
export function openOutput(stream: Output & { readonly fd: number }): Output {
  if (!fstatSync(stream.fd).isFile()) return stream;
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        writeFileSync(stream.fd, chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

/**
 * The same world, in which a standard output that takes no more ends the process with an error. A reader that has gone (`alliance status |
 * grep -q ...`) ends nothing: what came of the command is told by its exit code, and others may wait for that.
 */
export function guardOutput(world: World, end: (code: number) => void): World {
  let outlives = false;
  let isReaderGone = false;
  world.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EPIPE') {
      isReaderGone = true;
      return;
    }
    const code = report(world, cause);
    if (!outlives) end(code);
  });
  // Whom should it be told? The exit code still says it.
  world.stderr.on('error', () => undefined);
  return {
    ...world,
    outliveReader: () => {
      outlives = true;
    },
    isReaderGone: () => isReaderGone,
  };
}

const report = (world: World, cause: unknown): number =>
  reportFailure(new Cli(world), new AllianceError('output_lost', { cause, details: `${errnoOf(cause)}.` }), '');
