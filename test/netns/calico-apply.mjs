// Applies a plan, given as JSON, in its own namespace, like an agent, and prints each result as a
// line of JSON. Arguments: the state folder, the plan's file, then actions in order: apply, full,
// withdraw, or watch (once; a resync after what it sees).
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../../dist/base/address.js';
import { parseKeyBase64 } from '../../dist/base/key.js';
import { parsePrefix } from '../../dist/base/prefix.js';
import { Applier } from '../../dist/calico/apply/applier.js';
import { systemSysctls } from '../../dist/calico/apply/device/sysctl.js';
import { systemTables } from '../../dist/calico/apply/firewall/nftables.js';
import { KeyFiles } from '../../dist/calico/apply/state/identity.js';
import { RecordFile } from '../../dist/calico/apply/state/record.js';
import { RunnerFile } from '../../dist/calico/apply/state/runner.js';
import { StateDirectory } from '../../dist/calico/apply/state/state-directory.js';
import { SystemDevices } from '../../dist/host/devices.js';
import { nativeBinding } from '../../dist/io/native-binding.js';
import { nativeNetlink } from '../../dist/io/netlink.js';
import { Network } from '../../dist/netlink/network.js';

const [folder, file, ...actions] = process.argv.slice(2);
const port = nativeNetlink(nativeBinding());
const network = new Network(port);
const devices = new SystemDevices({ port, network, backend: 'native', keepOutput: false });
const warn = text => process.stderr.write(`${text}\n`);
const directory = new StateDirectory(folder, warn);
const log = [];
const host = {
  network,
  devices,
  tables: systemTables(port),
  sysctls: systemSysctls,
  keys: new KeyFiles(directory),
  records: new RecordFile(directory, warn),
  runners: new RunnerFile(directory, 'calico-apply'),
  sleep,
  log: text => log.push(text),
  warn,
};
const applier = new Applier(host, { owned: {} });
const desired = planOf(JSON.parse(readFileSync(file, 'utf8')));
for (const action of actions) {
  log.length = 0;
  if (action === 'watch') {
    const seen = await new Promise(resolve => {
      applier.watch(resolve);
      process.stdout.write('watching\n');
    });
    log.push(`seen: ${seen}`);
  }
  const state =
    action === 'withdraw'
      ? await applier.withdraw()
      : action === 'watch'
        ? await applier.resync()
        : await applier.apply(desired, { full: action === 'full' });
  process.stdout.write(`${JSON.stringify({ ...state, log })}\n`);
}
network.close();
devices.close();
process.exit(0);

function planOf({ tunnels }) {
  const prefixes = texts => texts.map(text => parsePrefix(text));
  const make = tunnel => ({
    ...tunnel,
    ...(tunnel.address && { address: parseAddress(tunnel.address) }),
    peers: new Map(
      tunnel.peers.map(peer => [
        peer.key,
        {
          node: peer.key,
          publicKey: parseKeyBase64(peer.key),
          endpointAddress: parseAddress(peer.endpoint),
          endpointPort: tunnel.listenPort,
          persistentKeepalive: 0,
          allowedIps: prefixes(peer.allowedIps),
        },
      ]),
    ),
    routes: new Map(
      Object.entries(tunnel.routes).map(([text, kind]) => [text, { destination: parsePrefix(text), kind }]),
    ),
    firewall: { ...tunnel.firewall, sealed: prefixes(tunnel.firewall.sealed) },
  });
  return { tunnels: Object.fromEntries(Object.entries(tunnels).map(([family, tunnel]) => [family, make(tunnel)])) };
}
