/**
 * Runs a command as systemd would run a unit, without systemd: its system call filter,
 * capabilities, read-only file system and hidden processes, all read from the unit's own text. Not
 * emulated: the device cgroup, and limits.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const HEADER =
  process.arch === 'arm64' ? '/usr/include/asm-generic/unistd.h' : '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';
const AUDIT_ARCH = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;
const EPERM = 1;

/** Mounts what the unit says, drops rights, installs the filter and becomes the command. */
const ENTER = `
import ctypes, json, os, sys
settings = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def check(result, what):
    if result != 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)
def mount(source, target, kind, flags, data=None):
    check(libc.mount(source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data and data.encode()), target)
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
mount('none', '/', None, RECURSIVE | PRIVATE)
mount('proc', '/proc', 'proc', 0, 'hidepid=' + settings['hidden'])
mount('/proc/sys', '/proc/sys', None, BIND)
for path in settings['written']:
    if os.path.exists(path): mount(path, path, None, BIND | RECURSIVE)
writable = settings['written'] + ['/dev']
for line in open('/proc/self/mountinfo').readlines():
    point = line.split()[4]
    if point == '/proc' or any(point == path or point.startswith(path + '/') for path in writable): continue
    try: mount('none', point, None, REMOUNT | BIND | READ_ONLY)
    except OSError:
        if point in ('/', '/proc/sys'): raise
for capability in range(64):
    if capability not in settings['capabilities']: libc.prctl(24, capability, 0, 0, 0)
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_char_p)]
code = bytes.fromhex(settings['filter'])
check(libc.prctl(38, 1, 0, 0, 0), 'no_new_privs')
check(libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0), 'seccomp')
os.execvp(sys.argv[2], sys.argv[2:])
`;

/**
 * Returns the command line that runs `argv` as the unit would.
 * @param also paths to write to, beside the unit's
 */
export function asUnit(unit: string, also: readonly string[], argv: readonly string[]): string[] {
  const text = readFileSync(unit, 'utf8');
  const settings = {
    written: [
      ...wordsOf(text, 'ReadWritePaths').map(path => path.replace(/^-/, '')),
      ...wordsOf(text, 'RuntimeDirectory').map(name => `/run/${name}`),
      ...wordsOf(text, 'LogsDirectory').map(name => `/var/log/${name}`),
      ...also,
    ],
    hidden: wordsOf(text, 'ProtectProc')[0],
    capabilities: wordsOf(text, 'CapabilityBoundingSet').map(name => CAPABILITIES[name]),
    filter: filterOf(wordLists(text, 'SystemCallFilter')),
  };
  return ['unshare', '-m', 'python3', '-c', ENTER, JSON.stringify(settings), ...argv];
}

const CAPABILITIES: Readonly<Record<string, number>> = { CAP_NET_ADMIN: 12 };

function wordLists(text: string, setting: string): string[][] {
  return [...text.matchAll(new RegExp(`^${setting}=(.*)$`, 'gm'))].map(([, words]) => words!.split(' '));
}

function wordsOf(text: string, setting: string): string[] {
  return wordLists(text, setting).flat();
}

/** Returns a BPF program, as hex, that allows what is left of the lists and refuses the rest. */
function filterOf(lists: readonly (readonly string[])[]): string {
  const allowed = new Set<string>();
  for (const [first = '', ...rest] of lists) {
    const names = [first.replace(/^~/, ''), ...rest].flatMap(callsOf);
    for (const name of names)
      if (first.startsWith('~')) allowed.delete(name);
      else allowed.add(name);
  }
  const numbers = new Map(
    [...readFileSync(HEADER, 'latin1').matchAll(/^#define __NR_(\w+)\s+([0-9]+)$/gm)].map(([, name, number]) => [
      name!,
      Number(number),
    ]),
  );
  // systemd itself needs execve, and allows it
  const known = [...allowed, 'execve', 'exit', 'exit_group', 'rt_sigreturn'].flatMap(name => numbers.get(name) ?? []);
  const code = [
    [0x20, 0, 0, 4],
    [0x15, 1, 0, AUDIT_ARCH],
    [0x06, 0, 0, 0x80000000],
    [0x20, 0, 0, 0],
    ...known.flatMap(number => [
      [0x15, 0, 1, number],
      [0x06, 0, 0, 0x7fff0000],
    ]),
    [0x06, 0, 0, 0x50000 | EPERM],
  ];
  const bytes = Buffer.alloc(8 * code.length);
  code.forEach(([operation, yes, no, k], i) => {
    bytes.writeUInt16LE(operation!, 8 * i);
    bytes[8 * i + 2] = yes!;
    bytes[8 * i + 3] = no!;
    bytes.writeUInt32LE(k! >>> 0, 8 * i + 4);
  });
  return bytes.toString('hex');
}

const groups = new Map<string, string[]>();

/** Expands a group of system calls, as this machine's systemd defines it. */
function callsOf(name: string): string[] {
  if (!name.startsWith('@')) return [name];
  const known = groups.get(name);
  if (known) return known;
  const text = execFileSync('systemd-analyze', ['syscall-filter', name], { encoding: 'utf8' });
  const members = text
    .split('\n')
    .slice(1)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
  const calls = members.flatMap(callsOf);
  groups.set(name, calls);
  return calls;
}
