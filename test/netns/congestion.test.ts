/**
 * What the path learns about the packets inside: congestion marks pass from packets to datagrams
 * and back (RFC 6040), the rest of the traffic class stays in the tunnel, and handshakes have AF41,
 * as in the kernel's WireGuard (messages.h, send.c, receive.c).
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { capture, messageType } from './capture.ts';
import { PROGRAM } from './device.ts';
import type { Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type Pair, PORT_B, tunnelPair } from './pair.ts';

const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3] as const;
const HANDSHAKE = 0x88;

for (const outer of [4, 6] as const)
  describeWith(NETWORK, `congestion marks over IPv${outer} (${PROGRAM})`, () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = await tunnelPair({ outer });
    });
    afterAll(() => pair?.close());

    it('handshakes are AF41; of the inner traffic class only the congestion mark is copied, CE as ECT(0)', async () => {
      const { lab, a, b } = pair;
      const seen = await capture(lab, b.namespace, 'eth0', `udp and dst port ${PORT_B}`);
      await pingWith(a.namespace, NOT_ECT);
      for (const tos of [0xb8 | NOT_ECT, 0xb8 | ECT_1, 0xb8 | ECT_0, 0xb8 | CE]) await pingWith(a.namespace, tos);
      const datagrams = await seen.stop();
      // Without keepalives, which carry no packet.
      const whole = datagrams.filter(d => d.payload.length > 32);
      const classes = (type: number) => whole.filter(d => messageType(d.payload) === type).map(d => d.tos);
      expect(classes(1)).toEqual([HANDSHAKE]);
      expect(classes(4)).toEqual([NOT_ECT, NOT_ECT, ECT_1, ECT_0, ECT_0]);
    });

    it('marks the inner packet if the path was congested and the packet supports ECN, and keeps its class', async () => {
      const { a, b } = pair;
      const family = outer === 4 ? 'ip' : 'ip6';
      await b.namespace.nft(`table ${family} path { chain met { type filter hook prerouting priority -150;
        udp dport ${PORT_B} ${family} ecn set ce;
        }
        }`);
      await b.namespace.nft(`table ip inside { chain input { type filter hook input priority 0;
        iifname ${b.device.name} ip dscp ef ip ecn ce counter comment "ce"
        iifname ${b.device.name} ip dscp ef ip ecn not-ect counter comment "plain"
        }
        }`);
      await pingWith(a.namespace, 0xb8 | ECT_0, 3);
      await pingWith(a.namespace, 0xb8 | NOT_ECT, 2);
      const { stdout } = await b.namespace.run(['nft', 'list', 'table', 'ip', 'inside']);
      expect(stdout).toMatch(/counter packets 3 .*"ce"/);
      expect(stdout).toMatch(/counter packets 2 .*"plain"/);
    });
  });

async function pingWith(from: Namespace, tos: number, count = 1): Promise<void> {
  const { stdout } = await from.run([
    'ping',
    '-n',
    '-i',
    '0.2',
    '-c',
    `${count}`,
    '-W',
    '5',
    '-Q',
    `${tos}`,
    INNER_B[4],
  ]);
  expect(stdout).toMatch(new RegExp(`${count} received`));
}
