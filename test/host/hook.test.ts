/**
 * Hooks behave as in bash with -e and pipefail, and as in wg-quick itself, for fixed and for random
 * lines.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { numericZones } from '../../src/config/zones.ts';
import { findShell, runHook, type Shell } from '../../src/host/hook.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { describeWith } from '../netns/needs.ts';
import { seeded } from '../support/random.ts';

/** Lines for bash: some fail, some do not, and some depend on the shell's own syntax. */
const LINES = [
  'nosuchprogram -I OUTPUT; echo done',
  'false; echo done',
  'false | cat',
  'false | cat; echo done',
  'cat </dev/null | false',
  'false || true',
  'true && false || echo kept',
  'false && echo no; echo behind',
  'if false; then echo a; else echo b; fi',
  'if false | cat; then echo a; else echo b; fi',
  '! true; echo still',
  '! false',
  '(exit 3); echo done',
  '(false; echo inner); echo outer',
  'set +e; false; echo done',
  'set +e; false',
  'set +o pipefail; false | cat; echo done',
  'exit 0; false',
  'exit 7',
  'kill -9 $BASHPID',
  'x=$(false); echo "x=$x"',
  'echo "a # b"',
  "echo 'c # d' # a comment",
  'echo a#b',
  'echo $# >/dev/null; echo fine',
  '# nothing at all',
  'echo "%i $INTERFACE" "$CONFIG_FILE"',
  '[[ $INTERFACE == %i ]] && echo same',
  '[[ -n $INTERFACE$CONFIG_FILE ]]',
  'bash -c \'echo "inner: $INTERFACE"\'',
  'echo back\\\\slash \'back\\slash\' "back\\\\slash" \\# \\ x',
  "printf '%s\\n' \"a\" 'b  c' $'d\\te'",
  'cat',
  'read -r line; echo done',
  'read -r line || echo "no line"',
  'for i in 1 2 3; do echo $i; [[ $i != 2 ]]; done; echo end',
  'while read -r l; do echo "<$l>"; done < <(printf "1\\n2\\n")',
  'trap "echo trapped" EXIT; echo first; false; echo no',
  'f() { false; echo in f; }; f; echo behind',
  'f() { false; echo in f; }; f || echo caught',
  '{ echo one; false; } | { cat; echo two; }',
  'echo a | grep b',
  'echo a | grep a >/dev/null && echo found',
  'yes | head -n 1',
  'sleep 1000 >/dev/null 2>&1 & kill $!; echo started',
  'false & echo started',
  'true & wait $!; echo waited',
  'false & wait $!; echo waited',
  'echo "unclosed',
  'if true; then echo a',
  'case x in +(x)) echo extended;; esac',
  'echo à; echo "$LC_ALL"',
  'unset NOTHING; echo "[$NOTHING]"',
  'eval "false; echo no"',
  'exec true; echo no',
  'exec false',
  'umask 077; umask',
  'cd / && pwd',
] as const;

const ATOMS = [
  'true',
  'false',
  'echo a',
  'echo "b # c"',
  'nosuchprogram',
  '(exit 3)',
  '{ echo d; false; }',
  'cat',
  'set +e',
  'set -e',
  'set +o pipefail',
  '! true',
  'x=$(false)',
  'if false; then echo e; fi',
  '(echo f; false; echo g)',
  '[[ a == b ]]',
  'exit 4',
  'eval "false; echo h"',
];
const JOINS = ['; ', '; ', ' && ', ' || '];
/** Parts of a pipe. They read all input, so that writing to them never fails by chance. */
const PIPES = ['', '', ' | cat', ' | { cat; false; }', ' | { cat; echo i; } | cat'];

let folder: string;
let file: string;
const path = process.env['PATH'];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-hooks-'));
  file = join(folder, 'wg0.conf');
  writeFileSync(file, '', { mode: 0o600 });
});
afterEach(() => {
  process.env['PATH'] = path;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly succeeds: boolean;
  readonly output: string;
}

/** Redirects a line's output to a file, so that it can be compared. */
const captured = (line: string, out: string) => `exec >${out} 2>/dev/null </dev/null; ${line}`;

/** Runs a line as `wgts` does: from a file, with %i replaced. */
async function ours(line: string, shell?: Shell, warn = (_text: string) => {}): Promise<Outcome> {
  const out = join(folder, 'ours.out');
  writeFileSync(out, '');
  const text = `[Interface]\nPostUp = ${captured(line, out)}\n`;
  const [command] = parseQuickFile(text, file, { zones: numericZones }).hooks.PostUp;
  const succeeds = await runHook(command!.replaceAll('%i', 'wg0'), { name: 'wg0', file }, warn, shell).then(
    () => true,
    error => {
      expect(error).toMatchObject({ code: 'EPROGRAM' });
      return false;
    },
  );
  return { succeeds, output: readFileSync(out, 'utf8') };
}

function bash(line: string): Outcome {
  const out = join(folder, 'bash.out');
  writeFileSync(out, '');
  const { status } = spawnSync(
    'bash',
    ['-e', '-o', 'pipefail', '-O', 'extglob', '-c', captured(line, out).replaceAll('%i', 'wg0')],
    { env: { ...process.env, LC_ALL: 'C', INTERFACE: 'wg0', CONFIG_FILE: file } },
  );
  return { succeeds: status === 0, output: readFileSync(out, 'utf8') };
}

describeWith(['bash'], 'compared with bash -e -o pipefail', () => {
  test.each(LINES)('%s', async line => {
    expect(await ours(line)).toEqual(bash(line));
  });

  test('lines of random parts', async () => {
    const random = seeded(Number(process.env['TEST_SEED'] ?? Date.now() >>> 0));
    let failures = 0;
    for (let n = 0; n < 150; n++) {
      const part = () => random.pick(ATOMS) + random.pick(PIPES);
      let line = part();
      for (let parts = random.below(5); parts > 0; parts--) line += random.pick(JOINS) + part();
      const expected = bash(line);
      expect(await ours(line), `${line} (TEST_SEED=${random.seed})`).toEqual(expected);
      if (!expected.succeeds) failures++;
    }
    expect(failures, `TEST_SEED=${random.seed}`).toBeGreaterThan(10);
  });
});

/** The installed wg-quick, with programs beside it that pretend an interface exists. */
describeWith(['root', 'bash', 'wg-quick'], 'compared with wg-quick', () => {
  let quick: string;
  beforeAll(() => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    quick = join(bin, 'wg-quick');
    const installed = (path ?? '').split(':').map(each => join(each, 'wg-quick'));
    copyFileSync(installed.find(existsSync)!, quick);
    for (const [name, script] of [
      ['ip', 'exit 0'],
      ['wg', '[ "$2" != interfaces ] || echo wg0'],
    ] as const) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    }
  });

  function theirs(verb: string, event: string, line: string): Outcome {
    const out = join(folder, 'quick.out');
    writeFileSync(out, '');
    writeFileSync(file, `[Interface]\n${event} = ${captured(line, out)}\n`);
    const { status } = spawnSync(quick, [verb, file]);
    return { succeeds: status === 0, output: readFileSync(out, 'utf8') };
  }

  // wg-quick of 2021 takes any # for a comment, and only we export the two variables
  const same = LINES.filter(line => !line.includes('#') && !line.includes('bash -c'));
  test.each(same)('%s', async line => {
    expect(await ours(line)).toEqual(theirs('up', 'PostUp', line));
  });

  test('return and local work', async () => {
    for (const line of ['echo a; return; echo no', 'return 3', 'local x=5; echo $x'])
      expect(await ours(line), line).toEqual(theirs('up', 'PostUp', line));
  });

  test.each([
    ['up', 'PreUp'],
    ['down', 'PreDown'],
    ['down', 'PostDown'],
  ])('%s: %s', async (verb, event) => {
    for (const line of LINES.slice(0, 12).filter(each => !each.includes('#')))
      expect(await ours(line), line).toEqual(theirs(verb, event, line));
  });
});

test('a hook gets the path without links, and the error names hook and status', async () => {
  const link = join(folder, 'link.conf');
  symlinkSync(file, link);
  const out = join(folder, 'named');
  await runHook(`printf %s "$CONFIG_FILE" >${out}`, { name: 'wg0', file: link }, () => {});
  expect(readFileSync(out, 'utf8')).toBe(file);
  await expect(runHook('exit 3', { name: 'wg0', file }, () => {})).rejects.toThrow(
    "the hook `exit 3' ended with status 3",
  );
  await expect(runHook(`: ${'x'.repeat(200_000)}`, { name: 'wg0', file }, () => {})).rejects.toThrow(/cannot be run/);
});

describeWith(['bash'], 'a hook that fails', () => {
  // bash 5.2 prints an internal error if -e ends it in a function's eval outside of a subshell
  test.each(['false', 'false | cat', 'x=$(false); echo no', '(exit 5); echo no'])(
    '%s: nothing is printed',
    async line => {
      const { path: program, args } = await findShell();
      const { status, stderr } = spawnSync(program, [...args, line], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: line.startsWith('(') ? 5 : 1, stderr: '' });
    },
  );
});

test('a process that a hook leaves in the background is not waited for', async () => {
  const pid = join(folder, 'pid');
  await runHook(`sleep 1000 & echo $! >${pid}`, { name: 'wg0', file }, () => {});
  process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
});

describe('without bash', () => {
  const without = async (sh: string): Promise<Shell> => {
    const shell = await findShell('/nowhere', sh);
    expect(shell.path).toBe(sh);
    return shell;
  };
  const plain = LINES.filter(line => !/\[\[|<\(|\$'|\+\(|BASHPID|trap|\|/.test(line));

  test('sh runs everything that does not need bash', async () => {
    const shell = await without('/bin/sh');
    for (const line of plain) {
      const { succeeds } = bash(line);
      expect((await ours(line, shell)).succeeds, line).toBe(succeeds);
    }
  });

  test('sh without pipefail causes a warning for a pipe, and for nothing else', async () => {
    const shell: Shell = { ...(await without('/bin/sh')), hasPipefail: false };
    const warned: string[] = [];
    const warn = (text: string): void => void warned.push(text);
    for (const line of ['true', 'false || true', 'true || true']) await ours(line, shell, warn);
    expect(warned).toEqual([]);
    await ours('true | cat', shell, warn);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatch(/^the hook `.*true \| cat' has a pipe, and \/bin\/sh cannot say .*; install bash$/);
  });

  describeWith(['busybox'], 'busybox', () => {
    test('has pipefail', async () => {
      const sh = join(folder, 'sh');
      const found = (path ?? '').split(':').map(each => join(each, 'busybox'));
      symlinkSync(found.find(existsSync)!, sh);
      const shell = await without(sh);
      expect(shell.hasPipefail).toBe(true);
      const warned: string[] = [];
      for (const line of ['false | cat', 'false | cat; echo done', 'true | cat', ...plain]) {
        const { succeeds } = bash(line);
        expect((await ours(line, shell, text => void warned.push(text))).succeeds, line).toBe(succeeds);
      }
      expect(warned).toEqual([]);
    });
  });
});
