// Prints the status of wg0 as JSON, whether the kernel or a userspace program runs wg0. Needs root,
// as `wg show` does. Run it after `npm ci && npm run build`: node examples/status.mjs wg0
import { toJson } from 'wireguard-ts/config';
import { SystemBackend } from 'wireguard-ts/device';

const name = process.argv[2] ?? 'wg0';
const system = new SystemBackend();
try {
  const { kind } = await system.of(name);
  // peers, endpoints, bytes and handshakes; keys are 32 bytes each
  const status = await system.get(name);
  // dropped packets by reason; only this package's programs count them
  const counters = await system.counters(name);
  const withSecrets = false;
  console.log(JSON.stringify(toJson(name, kind, status, counters, withSecrets), null, 2));
} finally {
  system.close();
}
