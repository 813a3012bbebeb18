/**
 * Hooks of a real `wgts up` and `wgts down`: a failing hook causes a rollback, a hanging one can be
 * interrupted, and a program in the background may stay.
 *
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
});
afterEach(() => lab?.close());

const KEY = keyPair().privateKey;
const file = (...hooks: readonly string[]) =>
  `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${KEY}\n${hooks.join('\n')}\n`;

describeWith([...NETWORK, 'bash', 'nft'], 'a hook', () => {
  it.each([
    'nosuchprogram -I OUTPUT; echo done',
    'false | cat',
    '(false; echo inner); echo outer',
    'x=$(false); echo x',
  ])('`%s` fails and everything is rolled back', async line => {
    const empty = await host.picture();
    for (const event of ['PreUp', 'PostUp']) {
      host.write(file(`${event} = ${line}`));
      const failed = await host.wgts('up');
      expect(failed.code, failed.stdout).toBe(1);
      expect(failed.stderr).toContain(`wgts: the hook \`${line}' ended with status 1`);
      expect(failed.stdout).toBe('');
      expect(await host.picture()).toEqual(empty);
      expect(existsSync(host.state)).toBe(false);
    }
  });

  it('gets interface and file, and may contain a #', async () => {
    host.write(
      file(
        'PostUp = echo "a # b"; false || true # the end',
        'PostUp = echo "$INTERFACE %i $CONFIG_FILE"',
        'PreDown = echo down $INTERFACE',
      ),
    );
    const upped = await host.wgts('up');
    expect(upped.code, upped.stderr).toBe(0);
    expect(upped.stdout).toBe(`a # b\n${host.name} ${host.name} ${host.file}\n`);
    expect((await host.wgts('down')).stdout).toBe(`down ${host.name}\n`);
  });

  it('may leave a program running', async () => {
    const pid = join(lab.directory, 'pid');
    host.write(file(`PostUp = sleep 1000 >/dev/null 2>&1 & echo $! >${pid}`));
    expect((await host.wgts('up')).code).toBe(0);
    expect((await host.wgts('down')).code).toBe(0);
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'that hangs in up ends on %s with everything it started',
    async signal => {
      const empty = await host.picture();
      for (const event of ['PreUp', 'PostUp']) {
        const pid = join(lab.directory, event);
        host.write(file(`${event} = trap '' INT; (echo $BASHPID >${pid}; exec sleep 1000) | cat; echo never`));
        const hanging = host.startWgts(['up']);
        await until('the hook to run', () => existsSync(pid) && readFileSync(pid, 'utf8') !== '');
        const ended = await hanging.stop(signal);
        expect(ended.code, ended.stderr).toBe(1);
        expect(ended.stderr).toContain('wgts: interrupted: the completed steps are rolled back');
        expect(ended.stdout).not.toContain('never');
        await until('what it started to end', () => hasEnded(readFileSync(pid, 'utf8').trim()));
        expect(await host.picture()).toEqual(empty);
        expect(existsSync(host.state)).toBe(false);
      }
    },
  );
});

/** Also true for a zombie, whose exit status was not collected yet. */
function hasEnded(pid: string): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
