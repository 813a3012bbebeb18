/**
 * Our nftables in the kernel: as nft(8) reads them, detection of foreign changes, and sets of any
 * size.
 */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type Prefix, parsePrefix } from '../../../../src/base/prefix.ts';
import { bothSealed, firewallTable, SEALED_SET, tableName } from '../../../../src/calico/apply/firewall/firewall.ts';
import { systemTables } from '../../../../src/calico/apply/firewall/nftables.ts';
import { nativeBinding } from '../../../../src/io/native-binding.ts';
import { nativeNetlink } from '../../../../src/io/netlink.ts';
import { inOwnNamespace } from '../../../support/own-namespace.ts';
import { tunnel } from '../node.ts';

inOwnNamespace(import.meta.url, ['nft'], () => {
  const tables = systemTables(nativeNetlink(nativeBinding()));
  const nft = (...args: string[]): string => execFileSync('nft', args, { encoding: 'utf8' });
  const prefixes = (...texts: string[]): Prefix[] => texts.map(text => parsePrefix(text)!);
  const incomingMark = { exemptInterfaces: ['tunl-wg6.cali'], exemptPrefixes: ['cali', 'eni'] };
  const v4 = firewallTable(
    tunnel(4, [], {
      firewall: {
        allowPort: true,
        masquerade: true,
        incomingMark,
        workloadPrefixes: ['cali', 'eni'],
        sealed: prefixes('10.42.7.0/26', '10.42.7.64/26', '10.42.9.0/24', '10.42.9.5/32'),
      },
    }),
  )!;
  const v6 = firewallTable(
    tunnel(6, [], {
      firewall: {
        allowPort: true,
        masquerade: true,
        sealed: prefixes('fd42:0:0:7::/122', 'ffff::/16'),
        workloadPrefixes: ['pod'],
      },
    }),
  )!;

  test('match the expected rules', async () => {
    for (const table of [v4, v6, v4]) await tables.replace(table);
    expect(nft('list', 'table', 'ip', v4.name)).toBe(EXPECTED_V4);
    expect(nft('list', 'table', 'ip6', v6.name)).toBe(EXPECTED_V6);
  });

  test("other programs' tables stay", async () => {
    const others = 'table ip kept {\n}\ntable ip6 kept {\n}\n';
    execFileSync('nft', ['-f', '-'], { input: others });
    for (const table of [v4, v6, v4]) await tables.replace(table);
    expect(nft('list', 'ruleset')).toBe(`${others}${EXPECTED_V6}${EXPECTED_V4}`);
    for (const family of ['ip', 'ip6']) nft('delete', 'table', family, 'kept');
  });

  test('have the same fingerprint while unchanged, whatever happens in other tables', async () => {
    const read = () => tables.read(tableName(4), [SEALED_SET]);
    await tables.replace(v4);
    const before = await read();
    expect(before).toMatch(/^.{44}$/);
    nft('add', 'table', 'ip', 'other');
    nft('add', 'chain', 'ip', 'other', 'x');
    expect(await read()).toBe(before);
    for (const change of [
      ['flush', 'chain', 'ip', v4.name, 'seal-in'],
      ['add', 'rule', 'ip', v4.name, 'seal-out', 'accept'],
      ['insert', 'rule', 'ip', v4.name, 'seal-in', 'accept'],
      ['flush', 'set', 'ip', v4.name, SEALED_SET],
      ['delete', 'element', 'ip', v4.name, SEALED_SET, '{ 10.42.9.0/24 }'],
    ]) {
      await tables.replace(v4);
      const whole = await read();
      nft(...change);
      expect(await read(), change.join(' ')).not.toBe(whole);
    }
    nft('flush', 'ruleset');
    expect(await read()).toBeUndefined();
    await tables.remove(tableName(4));
    expect(nft('list', 'ruleset')).toBe('');
  });

  test('sets twenty thousand ranges in one transaction', async () => {
    const sealed = Array.from(
      { length: 20_000 },
      (_, i): Prefix => ({ address: Uint8Array.of(10, i >> 8, i, 64), length: 26 }),
    );
    const table = firewallTable(tunnel(4, []), bothSealed(sealed, []))!;
    await tables.replace(table);
    const json = JSON.parse(nft('-j', 'list', 'set', 'ip', table.name, SEALED_SET)) as {
      nftables: { set?: { elem: unknown[] } }[];
    };
    expect(json.nftables.flatMap(({ set }) => set?.elem ?? [])).toHaveLength(20_000);
    await tables.remove(table);
  });
});

const EXPECTED_V4 = `table ip wireguard-ts-calico {
	set sealed {
		type ipv4_addr
		flags interval
		elements = { 10.42.7.0/25, 10.42.9.0/24 }
	}

	chain seal-in {
		type filter hook prerouting priority raw - 10; policy accept;
		iifname "lo" accept
		iifname "tunl-wg.cali" accept
		iifname "cali*" accept
		iifname "eni*" accept
		ip saddr @sealed drop
		ip daddr @sealed drop
	}

	chain seal-out {
		type filter hook postrouting priority mangle; policy accept;
		oifname "lo" accept
		oifname "tunl-wg.cali" accept
		oifname "cali*" accept
		oifname "eni*" accept
		ip saddr @sealed drop
		ip daddr @sealed drop
	}

	chain mark {
		type filter hook prerouting priority raw; policy accept;
		iifname "lo" accept
		iifname "tunl-wg.cali" accept
		iifname "tunl-wg6.cali" accept
		iifname "cali*" accept
		iifname "eni*" accept
		meta mark set meta mark | 0x00100000
	}

	chain allow-in {
		type filter hook input priority filter; policy accept;
		udp dport 51820 accept
	}

	chain allow-out {
		type filter hook output priority filter; policy accept;
		udp dport 51820 accept
	}

	chain masquerade {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "tunl-wg.cali" fib saddr . oif type != local fib saddr type local masquerade
	}
}
`;
const EXPECTED_V6 = `table ip6 wireguard-ts-calico {
	set sealed {
		type ipv6_addr
		flags interval
		elements = { fd42:0:0:7::/122,
			     ffff::/16 }
	}

	chain seal-in {
		type filter hook prerouting priority raw - 10; policy accept;
		iifname "lo" accept
		iifname "tunl-wg6.cali" accept
		iifname "pod*" accept
		ip6 saddr @sealed drop
		ip6 daddr @sealed drop
	}

	chain seal-out {
		type filter hook postrouting priority mangle; policy accept;
		oifname "lo" accept
		oifname "tunl-wg6.cali" accept
		oifname "pod*" accept
		ip6 saddr @sealed drop
		ip6 daddr @sealed drop
	}

	chain allow-in {
		type filter hook input priority filter; policy accept;
		udp dport 51821 accept
	}

	chain allow-out {
		type filter hook output priority filter; policy accept;
		udp dport 51821 accept
	}

	chain masquerade {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "tunl-wg6.cali" fib saddr . oif type != local fib saddr type local masquerade
	}
}
`;
