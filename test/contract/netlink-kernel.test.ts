/** The real kernel keeps the netlink contract, and reads agree with `ip`. */
import { beforeAll, describe } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { Network } from '../../src/netlink/network.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { networkContract } from './netlink.ts';
import { routingContract } from './netlink-routing.ts';

inOwnNamespace(import.meta.url, [], () => {
  const port = nativeNetlink(nativeBinding());
  let kind = '';
  /** The simple link kinds that this kernel has. */
  beforeAll(async () => {
    const network = new Network(port);
    for (const each of ['dummy', 'ifb', 'bridge']) {
      try {
        await network.links.remove(await network.links.create({ name: 'nl9', kind: each }));
        kind = each;
        break;
      } catch {}
    }
    network.close();
  });
  describe.each([
    ['links, addresses, events', networkContract],
    ['routes, rules', routingContract],
  ] as const)('the kernel: %s', (_name, contract) => {
    contract(
      () => port,
      () => kind,
    );
  });
});
