/**
 * The firewall that accompanies a default route, in the kernel: nft(8) lists the same as for
 * wg-quick.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { removeFirewall, setFirewall } from '../../src/host/firewall.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { AttributeWriter } from '../../src/netlink/attributes.ts';
import { errnoOf } from '../../src/netlink/errno.ts';
import { NetlinkError } from '../../src/netlink/errors.ts';
import { encodeMessage, FLAG, MESSAGE } from '../../src/netlink/message.ts';
import { setI32 } from '../../src/netlink/native-order.ts';
import { removeTables, replaceTables } from '../../src/netlink/nftables.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';
import { firewallTables } from '../../src/quick/firewall.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

inOwnNamespace(import.meta.url, ['nft'], () => {
  const port = nativeNetlink(nativeBinding());
  const addresses = ['10.9.0.2', '10.9.5.5', 'fd00:9::2'].map(text => parseAddress(text)!);
  const tables = firewallTables({ name: 'wg0', mark: 51820, families: [6, 4], addresses });
  const ruleset = () => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' });

  test('sets the same tables as wg-quick for both families, also when set twice', async () => {
    await replaceTables(port, tables);
    await replaceTables(port, tables);
    expect(ruleset()).toBe(EXPECTED);
  });

  test('removes the tables, also when removed twice', async () => {
    await removeTables(port, tables);
    expect(ruleset()).toBe('');
    await removeTables(port, tables);
  });

  test("leaves other programs' tables of both families alone", async () => {
    const others = 'table ip other {\n}\ntable ip6 other {\n}\n';
    execFileSync('nft', ['-f', '-'], { input: others });
    try {
      await replaceTables(port, tables);
      expect(ruleset()).toBe(`${others}${EXPECTED}`);
      await removeTables(port, tables);
      expect(ruleset()).toBe(others);
      await removeFirewall(port, 'wg-quick-wg0');
      expect(ruleset()).toBe(others);
    } finally {
      execFileSync('nft', ['flush', 'ruleset']);
    }
  });

  test('sets what a kernel without an expression supports, and warns about the rest', async () => {
    for (const [lacking, kept, lost] of [
      ['fib', /chain premangle[\s\S]*chain postmangle/, /ENOENT .*without: neighbours [^;]*; needs nft_fib\)$/],
      ['ct', /chain preraw/, /ENOENT .*without: with rp_filter[^;]*$/],
      ['meta', /^$/, /without: neighbours .*; with rp_filter/],
    ] as const) {
      const warnings: string[] = [];
      await setFirewall(without(lacking), tables, text => warnings.push(text));
      expect(ruleset()).toMatch(kept);
      expect(ruleset()).not.toMatch(new RegExp(`\\b${lacking} `));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(lost);
      await removeFirewall(port, 'wg-quick-wg0');
      expect(ruleset()).toBe('');
    }
  });

  test('fails on a table that another program owns, and removes that of the other family', async () => {
    const owner = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      owner.stdin.write('add table ip wg-quick-wg0 { flags owner; }\n');
      await expect.poll(ruleset).toContain('table ip wg-quick-wg0');
      await replaceTables(port, [tables[0]!]);
      expect(ruleset()).toContain('table ip6 wg-quick-wg0');
      await expect(removeFirewall(port, 'wg-quick-wg0')).rejects.toMatchObject({ code: 'EPERM' });
      expect(ruleset()).not.toContain('table ip6');
      expect(ruleset()).toContain('table ip wg-quick-wg0');
    } finally {
      const ended = once(owner, 'exit');
      owner.stdin.end();
      await ended;
    }
    expect(ruleset()).toBe('');
  });

  test('changes all or nothing, and the error names the table', async () => {
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

/** A kernel port that refuses an expression, like a kernel that lacks its module. */
function without(expression: string): NetlinkPort {
  return {
    open: (protocol, groups, receiver) => {
      const channel = nativeNetlink(nativeBinding()).open(protocol, groups, receiver);
      return {
        close: () => channel.close(),
        send: bytes => {
          const name = new AttributeWriter().string(1, expression).finish();
          if (!Buffer.from(bytes).includes(Buffer.from(name))) return channel.send(bytes);
          const body = new Uint8Array(20);
          setI32(body, 0, -errnoOf('ENOENT')!);
          const refusal = encodeMessage({ type: MESSAGE.error, flags: FLAG.capped, sequence: 1, port: 0, body });
          setImmediate(() => receiver.datagram(refusal));
        },
      };
    },
  };
}
