/** A text that names this process, by which others on the same machine can tell whether it still runs. */
import { readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from './errno.ts';

/** Of this boot of the machine, and of the process ids that count here; null where the system does not tell. */
function place(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    // No such system: then nothing is known, and leases run their time.
    return null;
  }
}

type Start = { readonly ticks: string; readonly dead: boolean };

/** When a process began, in ticks since the boot; null where that cannot be read. */
function startOf(pid: string): Start | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; what follows it begins with field 3, and field 22 is the start.
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = rest[18];
    return ticks === undefined ? null : { ticks, dead: state === 'Z' || state === 'X' };
  } catch {
    // No such process, or none that may be looked at.
    return null;
  }
}

/** Form: `PID START BOOT NAMESPACE`, or only the PID. */
export function ownProcess(): string {
  const { pid } = process;
  const [where, start] = [place(), startOf(String(pid))];
  return where === null || start === null ? String(pid) : `${pid} ${start.ticks} ${where}`;
}

/** True only if the process certainly has ended; one of another machine or container may well run. */
export function hasEnded(name: string): boolean {
  const [pid = '', ticks, ...where] = name.split(' ');
  if (!/^[1-9]\d{0,9}$/.test(pid) || ticks === undefined || where.join(' ') !== place()) return false;
  const start = startOf(pid);
  return start === null ? isUnknown(Number(pid)) : start.dead || start.ticks !== ticks;
}

/** Where /proc hides processes of other users, the system still tells whether there is one. */
function isUnknown(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return errnoOf(error) === 'ESRCH';
  }
}
