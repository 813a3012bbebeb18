/**
 * 20,000 peers that never answer, and packets for all of them, in a control group with a real
 * limit: with the shares of the limit the process lives, without them the kernel kills it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { MEMORY_GROUPS, MEMORY_LIMIT_FILE } from '../support/memory-group.ts';
import { SLOW } from '../support/selection.ts';
import { describeWith } from './needs.ts';

/** 20,000 peers take 160 MB, and 270 MB while all their handshakes are under way. */
const LIMIT = 448 << 20;
const PEERS = 20_000;
const PACKETS = 20;
const TIME_MS = 600_000;
const group = join(MEMORY_GROUPS, `wgts-test-${process.pid}`);

afterEach(() => rmdirSync(group));

function run(mode: 'shares' | 'unlimited') {
  mkdirSync(group);
  writeFileSync(join(group, MEMORY_LIMIT_FILE), String(LIMIT));
  const program = fileURLToPath(new URL('staging-peers.mjs', import.meta.url));
  const dist = fileURLToPath(new URL('../../dist', import.meta.url));
  // the shell joins the group, and the program takes its place
  return spawnSync(
    'sh',
    [
      '-c',
      'echo $$ > "$0/cgroup.procs" && exec "$@"',
      group,
      process.execPath,
      program,
      dist,
      `${PEERS}`,
      `${PACKETS}`,
      mode,
    ],
    { encoding: 'utf8', timeout: TIME_MS },
  );
}

describeWith(['memory-limit', 'addon'], 'under a memory limit', () => {
  it('packets that wait for sessions stay within their share, and all peers get their handshake', {
    tags: SLOW,
    timeout: TIME_MS,
  }, () => {
    const { stdout, stderr, status } = run('shares');
    expect([status, stderr]).toEqual([0, '']);
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(result).toMatchObject({ limit: LIMIT, stagedBytes: LIMIT / 8, initiationsSent: PEERS });
    expect(result['stagedOverBudget']).toBeGreaterThan(0.9 * PEERS * PACKETS);
  });

  it('without shares the kernel kills the process', { tags: SLOW, timeout: TIME_MS }, () =>
    expect(run('unlimited').signal).toBe('SIGKILL'),
  );
});
