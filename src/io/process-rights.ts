/** Reads from /proc what a process may do: capabilities, no_new_privs, seccomp, core dumps. */
import { readdirSync, readFileSync, statSync } from 'node:fs';

/** The rights of a process: of a thread that has more than the others, where they differ. */
export interface ProcessRights {
  /** Permitted, effective, inheritable and ambient capabilities. */
  readonly capabilities: readonly string[];
  /** Capabilities that a program started by the process could have. */
  readonly bounding: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'none' | 'strict' | 'filter';
  /** Bytes of a core file, or `unlimited`. */
  readonly coreLimit: string;
  /**
   * Whether the process can be dumped, and its memory read by its user. Undefined for root, where
   * /proc does not show it.
   */
  readonly dumpable: boolean | undefined;
  readonly threads: number;
}

/** By number (linux/capability.h). */
const CAPABILITIES =
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'.split(
    ' ',
  );
const HELD = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'];
const SECCOMP = ['none', 'strict', 'filter'] as const;

/** Returns the rights of a process, or undefined if it is gone or /proc does not show it. */
export function readRights(pid: number | 'self'): ProcessRights | undefined {
  const folder = `/proc/${pid}`;
  try {
    const threads = readdirSync(`${folder}/task`).flatMap(tid => fieldsOf(`${folder}/task/${tid}/status`));
    const [main] = threads;
    if (!main) return undefined;
    const union = (names: readonly string[]) =>
      namesOf(threads.flatMap(each => names.map(name => BigInt(`0x${each.get(name) ?? '0'}`))));
    const modes = threads.map(each => Number(each.get('Seccomp') ?? 0));
    const uid = Number(main.get('Uid')?.split('\t')[0]);
    return {
      capabilities: union(HELD),
      bounding: union(['CapBnd']),
      noNewPrivileges: threads.every(each => each.get('NoNewPrivs') === '1'),
      seccomp: SECCOMP[Math.min(...modes)] ?? 'none',
      coreLimit: /^Max core file size +(\S+)/m.exec(readFileSync(`${folder}/limits`, 'latin1'))?.[1] ?? 'unknown',
      // the kernel gives these files of a process that cannot be dumped to root
      dumpable: uid === 0 ? undefined : statSync(`${folder}/status`).uid === uid,
      threads: threads.length,
    };
  } catch {
    return undefined;
  }
}

/** Formats rights for people, on one line. */
export function describeRights(rights: ProcessRights): string {
  return [
    rights.capabilities.length === 0 ? 'no capabilities' : rights.capabilities.join(' '),
    rights.noNewPrivileges ? 'no_new_privs' : 'may gain rights by starting a program',
    { filter: 'system calls filtered', strict: 'strict seccomp', none: 'no filter of system calls' }[rights.seccomp],
    rights.coreLimit === '0' && rights.dumpable !== true ? 'no core dumps' : 'can dump core',
  ].join(', ');
}

function namesOf(masks: readonly bigint[]): string[] {
  const all = masks.reduce((a, b) => a | b, 0n);
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++)
    if ((all >> BigInt(bit)) & 1n) names.push(`CAP_${(CAPABILITIES[bit] ?? String(bit)).toUpperCase()}`);
  return names;
}

/** Returns the fields of a status file; nothing for a thread that has just ended. */
function fieldsOf(path: string): Map<string, string>[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return [];
  }
  const fields = text.split('\n').map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return [new Map(fields)];
}
