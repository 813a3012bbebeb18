/** Reads CPU time and memory of processes from /proc. */
import { readFileSync } from 'node:fs';

/** USER_HZ, the unit of /proc/PID/stat and /proc/stat: 100 on every current Linux. */
const TICKS_PER_SECOND = 100;

/** Returns the seconds of user and system time that the processes used so far, in total. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // The name in parentheses may contain anything. The first field after it is number 3; utime and
    // stime are 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/**
 * Returns the seconds that the CPUs of this machine were busy. Needed if the kernel does the work,
 * because then there is no process to measure.
 */
export function machineCpuSeconds(): number {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/ +/);
  const [user, nice, system, , , irq, softirq] = fields.map(Number);
  return (user! + nice! + system! + irq! + softirq!) / TICKS_PER_SECOND;
}

export type MemoryField = 'VmHWM' | 'VmRSS';

/** Returns resident memory in bytes: the peak (VmHWM) or the current value (VmRSS). */
export function memory(pid: number, field: MemoryField): number {
  const line = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}
