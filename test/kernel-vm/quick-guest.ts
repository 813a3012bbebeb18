/**
 * Runs inside the machine with the kernel module: `wgts up` compared with wg-quick, one line of
 * JSON per check.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../netns/command.ts';
import { ROOT } from '../netns/device.ts';
import { keyPair, presharedKey } from '../netns/keys.ts';
import { Lab } from '../netns/lab.ts';
import { QuickHost } from '../netns/quick-host.ts';
import { QUICK_CHECKS, type QuickResult } from './quick-results.ts';

const KILLED = join(ROOT, 'test/netns/quick-killed.mjs');
const FILE = `[Interface]
Address = 10.9.0.2/24, fd00:9::2/64
PrivateKey = ${keyPair().privateKey}
ListenPort = 41820

[Peer]
PublicKey = ${keyPair().publicKey}
PresharedKey = ${presharedKey()}
AllowedIPs = 0.0.0.0/0, ::/0, 10.7.0.0/16
Endpoint = 192.0.2.1:51820

[Peer]
PublicKey = ${keyPair().publicKey}
AllowedIPs = 10.8.0.0/16
PersistentKeepalive = 25
`;

await report(QUICK_CHECKS.kernel, async lab => {
  const [ours, theirs] = [await QuickHost.start(lab, 'ours'), await QuickHost.start(lab, 'theirs')];
  for (const host of [ours, theirs]) host.write(FILE);
  const empty = await ours.picture();
  succeeded(await ours.wgts('up'));
  succeeded(await theirs.wgQuick('up'));
  const { stdout } = await run(['ip', '-n', ours.namespace.name, '-d', 'link', 'show', ours.name]);
  assert.match(stdout, /\bwireguard\b/);
  assert.deepEqual(await ours.picture(), await theirs.picture());
  succeeded(await ours.wgts('down'));
  assert.deepEqual(await ours.picture(), empty);
});

await report(QUICK_CHECKS.userspace, async lab => {
  const [kernel, userspace] = [await QuickHost.start(lab, 'kernel'), await QuickHost.start(lab, 'user')];
  for (const host of [kernel, userspace]) host.write(FILE);
  succeeded(await kernel.wgts('up', '--backend=kernel'));
  succeeded(await userspace.wgts('up', '--backend=native'));
  const [one, other] = [withoutLinkDetails(await kernel.picture()), withoutLinkDetails(await userspace.picture())];
  assert.deepEqual(other, one);
  succeeded(await userspace.wgts('down'));
});

await report(QUICK_CHECKS.killed, async lab => {
  const host = await QuickHost.start(lab, 'host');
  host.write(FILE);
  const empty = await host.picture();
  succeeded(await host.wgts('up'));
  const whole = await host.picture();
  succeeded(await host.wgts('down'));
  // The machine is slow, so kill only at three steps: before anything is made, halfway, and before
  // the last one.
  for (const line of [1, 6, 12]) {
    const command = [process.execPath, KILLED, 'up', String(line), host.file];
    for (const verb of ['up', 'down'] as const) {
      const { signal } = await host.namespace.run(command, { mayFail: true });
      assert.equal(signal, 'SIGKILL', `line ${line}`);
      succeeded(await host.wgts(verb));
      assert.deepEqual(await host.picture(), verb === 'up' ? whole : empty, `killed at line ${line}, then ${verb}`);
      if (verb === 'up') succeeded(await host.wgts('down'));
    }
  }
});

async function report(name: string, check: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = new Lab();
  let result: QuickResult = { name };
  try {
    await check(lab);
  } catch (error) {
    result = { name, error: `${(error as Error).stack}` };
  }
  await lab.close();
  console.log(JSON.stringify(result));
}

function succeeded({ code, stderr }: { readonly code: number | null; readonly stderr: string }): void {
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /warning/);
}

/**
 * Drops what the kernel gives a TUN device but not a WireGuard link: a queue, and link-local
 * addresses with their routes.
 */
function withoutLinkDetails(picture: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(picture).map(([what, text]) => [
      what,
      text
        .split('\n')
        .filter(line => !/fe80::|ff00::\/8|valid_lft/.test(line))
        .map(line => line.replace(/<.*?>|qdisc \w+|qlen [0-9]+|group default/g, '').trim())
        .join('\n'),
    ]),
  );
}
