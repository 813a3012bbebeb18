/** What processes use: time of the processors, and memory, as /proc says it. */
import { readFileSync } from 'node:fs';

/** Of /proc/PID/stat and /proc/stat: USER_HZ, which is 100 on every Linux of today. */
const TICKS_PER_SECOND = 100;

/** Seconds of user and system time so far, all together. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // the name in parentheses may hold anything; utime and stime are 14 and 15, the first after it is 3
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Seconds that the processors of this machine were busy, whoever it was: where the kernel does the work there is no process to ask. */
export function machineCpuSeconds(): number {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/ +/);
  const [user, nice, system, , , irq, softirq] = fields.map(Number);
  return (user! + nice! + system! + irq! + softirq!) / TICKS_PER_SECOND;
}

export type MemoryField = 'VmHWM' | 'VmRSS';

/** Bytes: the most that was ever resident, or what is now. */
export function memory(pid: number, field: MemoryField): number {
  const line = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}
