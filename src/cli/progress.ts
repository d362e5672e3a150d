/** What takes its time says so: a moving line on a terminal, plain lines elsewhere, nothing with `--json`. */
import type { Cli } from './cli.ts';
import { formatDuration } from './text.ts';

export interface Progress {
  /** Replaces what is being waited for; on terminals only, as the result will tell it too. */
  say(text: string): void;
  stop(): void;
}

const frames = ['|', '/', '-', '\\'];
const everyMs = 120;

export function startProgress({ json, world: { stderr } }: Cli, text: string): Progress {
  if (json) return { say: () => undefined, stop: () => undefined };
  if (!stderr.isTTY) {
    stderr.write(`${text}\n`);
    return { say: () => undefined, stop: () => undefined };
  }
  const startedAt = performance.now();
  let said = text;
  let turn = 0;
  const draw = () => {
    const waited = formatDuration(Math.floor((performance.now() - startedAt) / 1000) * 1000 || 1);
    stderr.write(`\r\x1b[2K${frames[turn++ % frames.length]} ${said} (${waited})`);
  };
  const timer = setInterval(draw, everyMs).unref();
  draw();
  return {
    say: (line) => {
      said = line;
      draw();
    },
    stop: () => {
      clearInterval(timer);
      stderr.write('\r\x1b[2K');
    },
  };
}

/** The progress of one piece of work. */
export async function whileWaiting<T>(cli: Cli, text: string, work: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = startProgress(cli, text);
  try {
    return await work(progress);
  } finally {
    progress.stop();
  }
}
