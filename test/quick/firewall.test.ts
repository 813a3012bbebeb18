/** The firewall beside a default route, as the kernel keeps it: nft(8) reads the same as of wg-quick's. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { NetlinkError } from '../../src/netlink/errors.ts';
import { removeTables, replaceTables } from '../../src/netlink/nftables.ts';
import { firewallTables } from '../../src/quick/firewall.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

inOwnNamespace(import.meta.url, ['nft'], () => {
  const port = nativeNetlink(nativeBinding());
  const addresses = ['10.9.0.2', '10.9.5.5', 'fd00:9::2'].map(text => parseAddress(text)!);
  const tables = firewallTables({ name: 'wg0', mark: 51820, families: [6, 4], addresses });
  const ruleset = () => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' });

  test('both families, put in place twice, are what wg-quick makes', async () => {
    await replaceTables(port, tables);
    await replaceTables(port, tables);
    expect(ruleset()).toBe(EXPECTED);
  });

  test('are gone, and may be taken away again', async () => {
    await removeTables(port, tables);
    expect(ruleset()).toBe('');
    await removeTables(port, tables);
  });

  test('all or nothing, and the refusal says of what', async () => {
    const [table] = tables;
    const broken = { ...table!, chains: [...table!.chains, { ...table!.chains[0]!, hook: 'postrouting' as const }] };
    const error = await replaceTables(port, [broken]).catch(caught => caught);
    expect(error).toBeInstanceOf(NetlinkError);
    expect(error.message).toMatch(/^setting nftables wg-quick-wg0 \(IPv6\): E/);
    expect(ruleset()).toBe('');
  });
});

const EXPECTED = `table ip6 wg-quick-wg0 {
	chain preraw {
		type filter hook prerouting priority raw; policy accept;
		iifname != "wg0" ip6 daddr fd00:9::2 fib saddr type != local drop
	}

	chain premangle {
		type filter hook prerouting priority mangle; policy accept;
		meta l4proto udp meta mark set ct mark
	}

	chain postmangle {
		type filter hook postrouting priority mangle; policy accept;
		meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark
	}
}
table ip wg-quick-wg0 {
	chain preraw {
		type filter hook prerouting priority raw; policy accept;
		iifname != "wg0" ip daddr 10.9.0.2 fib saddr type != local drop
		iifname != "wg0" ip daddr 10.9.5.5 fib saddr type != local drop
	}

	chain premangle {
		type filter hook prerouting priority mangle; policy accept;
		meta l4proto udp meta mark set ct mark
	}

	chain postmangle {
		type filter hook postrouting priority mangle; policy accept;
		meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark
	}
}
`;
