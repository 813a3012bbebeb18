/**
 * examples/ on real interfaces: device.mjs runs both ends of a tunnel that carries pings,
 * status.mjs reads a device of this package's daemon. examples/two-engines.mjs, which needs no
 * interface, is run by test/daemon/library-guide.test.ts.
 */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { REPOSITORY } from '../support/guide.ts';
import { until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { WGTS } from './quick-host.ts';

const example = (name: string) => [process.execPath, join(REPOSITORY, 'examples', `${name}.mjs`)];

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

describeWith(NETWORK, 'the examples', () => {
  it('device.mjs: two programs make a tunnel, report its traffic, and remove it on SIGINT', async () => {
    const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
    await lab.cable(a, 'eth0', ['192.0.2.1/24'], b, 'eth0', ['192.0.2.2/24']);
    const keys = { a: keyPair(), b: keyPair() };
    const name = 'wg0';
    const device = (own: 'a' | 'b', peer: 'a' | 'b', endpoint: string, prefix: string) => [
      ...example('device'),
      name,
      keys[own].privateKey,
      keys[peer].publicKey,
      endpoint,
      prefix,
    ];
    const programs = [
      a.start(device('a', 'b', '192.0.2.2:51820', '10.0.0.2/32')),
      b.start(device('b', 'a', '192.0.2.1:51820', '10.0.0.1/32')),
    ];
    for (const program of programs) await until('the device', () => /^wg0 runs with /m.test(program.output()));
    await a.ip(`address add 10.0.0.1/24 dev ${name}`, `link set ${name} up`);
    await b.ip(`address add 10.0.0.2/24 dev ${name}`, `link set ${name} up`);
    await a.run(['ping', '-c', '3', '-i', '0.2', '-w', '20', '10.0.0.2']);
    const report = `${keys.b.publicKey}: `;
    await until('a report of traffic', () =>
      programs[0]!
        .stdout()
        .split('\n')
        .some(line => line.startsWith(report) && /: [1-9]\d* bytes in, [1-9]\d* bytes out$/.test(line)),
    );
    for (const program of programs) expect(await program.stop('SIGINT')).toMatchObject({ code: 0, signal: null });
    const { stdout } = await a.run(['ip', '-o', 'link']);
    expect(stdout).not.toContain(name);
  });

  it('status.mjs prints a device as JSON', async () => {
    const namespace = await lab.namespace('status');
    const name = lab.interfaceName();
    const peer = keyPair().publicKey;
    const file = lab.file(
      `[Interface]\nPrivateKey = ${keyPair().privateKey}\n[Peer]\nPublicKey = ${peer}\nAllowedIPs = 10.0.0.2/32\n`,
      `${name}.conf`,
    );
    await namespace.run([...WGTS, 'up', file]);
    const { stdout } = await namespace.run([...example('status'), name]);
    const ours = await namespace.run([...WGTS, 'show', name, '--json']);
    expect(stdout).toContain(peer);
    expect(stdout).not.toContain('privateKey');
    expect(JSON.parse(stdout)).toEqual(JSON.parse(ours.stdout));
    await namespace.run([...WGTS, 'down', file]);
  });
});
