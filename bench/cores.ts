/**
 * Which cores processes may run on. One call at a time keeps one process awake at a time, and then it decides more than any code whether
 * the scheduler puts both on one core (a bare echo: 45,000 calls a second) or each on its own, where every message has to wake a sleeping
 * core (16,000). So such pairs are held on one core, everybody's alike.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** As the kernel writes it: `0-3,6`. */
const listForm = /^Cpus_allowed_list:\s*([\d,-]+)$/m;

/** All cores of a process and the first of them, from its /proc/PID/status; undefined where that does not say. */
export function coresOf(status: string): { readonly all: string; readonly first: string } | undefined {
  const all = listForm.exec(status)?.[1];
  const first = all && /^\d+/.exec(all)?.[0];
  return all && first ? { all, first } : undefined;
}

/** Runs `work` with these processes on one core, where the system has means for that. */
export async function onOneCore<T>(pids: readonly number[], work: () => Promise<T>): Promise<T> {
  const cores = coresOf(readStatus());
  if (!cores || !pids.every((pid) => allow(pid, cores.first))) return work();
  try {
    return await work();
  } finally {
    for (const pid of pids) allow(pid, cores.all);
  }
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    // Not Linux.
    return '';
  }
}

/** False where there is no taskset (util-linux), or it may not. */
function allow(pid: number, cores: string): boolean {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
