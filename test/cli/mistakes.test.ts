/** How the programs report arguments, variables and outputs that they cannot use. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { HANG_MS } from '../support/patience.ts';

const program = (name: string) => fileURLToPath(new URL(`../../dist/program/${name}.cjs`, import.meta.url));

function run(name: string, args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program(name), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

describe('wireguard-ts', () => {
  test.each([
    [['--bogus', 'wg0'], {}, /^wireguard-ts: unknown option `--bogus'\n/],
    [['-v'], {}, /^wireguard-ts: unknown option `-v'\n/],
    [['--backend=foo', 'wg0'], {}, /^wireguard-ts: option --backend cannot be `foo'\nChoose from: auto, /],
    [['a', 'b'], {}, /^wireguard-ts: unexpected argument `b': nothing may follow `a'\n/],
    [[], {}, /^wireguard-ts: the argument INTERFACE is missing\n/],
    [['wg0'], { WG_TUN_FD: 'abc' }, /^wireguard-ts: \$WG_TUN_FD is `abc': it must be the number/],
    [['wg0'], { WG_UAPI_FD: '-1' }, /^wireguard-ts: \$WG_UAPI_FD is `-1': it must be the number/],
  ])('rejects %j with %j', (args, env, message) => {
    const { status, stdout, stderr } = run('wireguard-ts', args, env as Record<string, string>);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });
});

describe('wgts', () => {
  test('show rejects an unknown field', () => {
    const { status, stderr } = run('wgts', ['show', 'all', 'foo']);
    expect([status, stderr.split('\n')[0]]).toEqual([1, "wgts show: there is no field `foo'"]);
  });

  test('an output that cannot be written is a one-line error', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', '"$0" "$1" genkey > /dev/full', process.execPath, program('wgts')],
      {
        encoding: 'utf8',
      },
    );
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^wgts: cannot write the output: ENOSPC.*\n$/)]);
  });

  test('ends silently when its output has no reader', () => {
    const folder = mkdtempSync(join(tmpdir(), 'wgts-pipe-'));
    // The reader closes before the first byte is written.
    const script = `mkfifo "$2/p"; : < "$2/p" & exec 3> "$2/p"; wait; "$0" "$1" genkey >&3`;
    try {
      const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, program('wgts'), folder], {
        encoding: 'utf8',
        timeout: HANG_MS,
      });
      expect([status, stderr]).toEqual([141, '']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
