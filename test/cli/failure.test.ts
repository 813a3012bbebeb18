/** What a failed command prints, and how it ends when its streams are closed. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { bugMessage, failureMessage, isExpected } from '../../src/cli/failure.ts';
import { visible } from '../../src/cli/terminal.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { testWith } from '../netns/needs.ts';
import { programFile } from './run-wgts.ts';
import { ShellTyping } from './shell-typing.ts';

describe('error messages', () => {
  const denied = Object.assign(new Error("EACCES: permission denied, open '/etc/wireguard/wg0.conf'"), {
    code: 'EACCES',
  });
  afterEach(() => void vi.restoreAllMocks());

  test('advises sudo when a privilege is missing', () => {
    vi.spyOn(process, 'geteuid').mockReturnValue(1000);
    expect(failureMessage(denied, 'wgts up')).toBe(
      "`/etc/wireguard/wg0.conf': permission denied (EACCES); run it as root: sudo wgts up ...",
    );
    expect(failureMessage(new ConfigError('refused', 'no', { errno: 1 }), 'wgts set')).toBe(
      'the device refused: operation not permitted (EPERM); run it as root: sudo wgts set ...',
    );
  });

  test('does not advise sudo to root', () => {
    vi.spyOn(process, 'geteuid').mockReturnValue(0);
    expect(failureMessage(denied, 'wgts up')).toMatch(/\(EACCES\); root is not enough here: a sandbox, /);
  });

  test('cuts a long path and prints it once', () => {
    const path = `/${'a'.repeat(5000)}`;
    const error = new Error(`${path} cannot be read: ENAMETOOLONG: name too long, open '${path}'`);
    expect(failureMessage(error, 'wgts up')).toBe(
      `/${'a'.repeat(199)}... cannot be read: name too long (ENAMETOOLONG)`,
    );
  });

  test('a bug of ours asks for a report, and prints the stack only on demand', () => {
    const fault = new TypeError('x is not a function');
    expect([isExpected(fault), isExpected(denied), isExpected(new Error('install it again'))]).toEqual([
      false,
      true,
      true,
    ]);
    expect(isExpected(Object.assign(new Error('bad'), { code: 'ERR_INVALID_STATE' }))).toBe(false);
    const short = bugMessage(fault, 'wgts', false);
    expect(short).toMatch(
      /^wgts: internal error: TypeError: x is not a function\nThis is a bug\. Please report it.*--version --verbose\nWith WGTS_DEBUG=1, .*\n$/,
    );
    expect(short).not.toContain(' at ');
    expect(bugMessage(fault, 'wgts', true)).toContain('failure.test.ts');
  });
});

test('escapes control characters', () => {
  expect(visible('a\x1b[2J\r\u009b\u202eb\tc\n')).toBe('a\\x1b[2J\\x0d\\x9b\\u{202e}b\tc\n');
});

describe('closed streams', () => {
  const sh = (script: string) =>
    spawnSync('sh', ['-c', script, programFile('wgts')], { encoding: 'utf8', timeout: 60_000, input: '' });

  test.each([
    ['no standard output', '"$0" show >&-', 0],
    ['no standard error', '"$0" shwo 2>&-', 2],
    ['none of the three', '"$0" show <&- >&- 2>&-', 0],
    ['no standard input', '"$0" pubkey <&-', 1],
    ['a pipe without a reader', '"$0" --help | head -n 0', 0],
  ])('exits with the usual status: %s', (_, script, status) => {
    const ran = sh(script);
    expect([ran.status, ran.stdout]).toEqual([status, '']);
    expect(ran.stderr).toMatch(/^(wgts: standard input is empty: .*\n)?$/);
  });

  testWith(['bash'], 'prompts for a key that is typed at a terminal', async () => {
    const typing = new ShellTyping('bash --norc --noprofile -i', { cwd: '/', env: { ...process.env, TERM: 'dumb' } });
    try {
      await typing.run('true');
      await typing.type(`${programFile('wgts')} pubkey\n`, 'Type or paste a private key, then press Enter and Ctrl-D.');
      await typing.type(
        'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\x04',
        'L+V9o0fNYkMVKNqsX7spBzD/9oSvxM/C7ZCZX1jLO3Q=',
      );
    } finally {
      typing.close();
    }
  });
});
