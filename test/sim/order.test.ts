/**
 * A device may get its key, its peers with their settings, and its link in any order: as soon as
 * the last required one is present, the configured action happens at once (kernel netlink.c,
 * wg_set_device and set_peer; device.c, wg_open).
 */
import { describe, expect, test } from 'vitest';
import { makePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig, PeerConfig } from '../../src/config/model.ts';
import { UapiRequestParser } from '../../src/config/uapi.ts';
import { formatSetRequest } from '../../src/config/uapi-set.ts';
import { MESSAGE_INITIATION as INITIATION, MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { type Random, seeded, withSeed } from '../support/random.ts';
import { isKeepalive } from './pair.ts';
import { innerAddress } from './payload.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

const NO_KEY = new Uint8Array(32);
const STEPS = ['key', 'endpoint', 'keepalive', 'allowed', 'up'] as const;
type Step = (typeof STEPS)[number];

interface Stage {
  readonly sim: Simulation;
  readonly a: SimNode;
  readonly b: SimNode;
}

/** A has no settings and is down; B is fully configured and waits. */
function stage(random: Random): Stage {
  const sim = new Simulation(random);
  const [a, b] = [sim.addNode(), sim.addNode()];
  b.configure({ peers: [{ ...b.peerConfig(a), persistentKeepalive: 0 }] });
  a.engine.down();
  a.configure({ privateKey: NO_KEY, replacePeers: true });
  return { sim, a, b };
}

const peerOf = ({ a, b }: Stage, steps: readonly Step[]): PeerConfig => ({
  publicKey: b.publicKey,
  ...(steps.includes('endpoint') && { endpoint: b.endpoint }),
  ...(steps.includes('keepalive') && { persistentKeepalive: 7 }),
  ...(steps.includes('allowed') && { allowedIps: a.peerConfig(b).allowedIps! }),
});

/** Several settings as one request; `up` is not a setting. */
function request(on: Stage, steps: readonly Step[]): DeviceConfig {
  const ofPeer = steps.some(step => step !== 'key' && step !== 'up');
  return {
    ...(steps.includes('key') && { privateKey: on.a.privateKey }),
    ...(ofPeer && { peers: [peerOf(on, steps)] }),
  };
}

/** Applies a request as received from the control socket. */
function byUapi(config: DeviceConfig): DeviceConfig {
  const [parsed] = new UapiRequestParser().push(`${formatSetRequest(config)}`);
  if (parsed?.kind !== 'set') throw new Error(`no set: ${JSON.stringify(parsed)}`);
  return parsed.config;
}

function permutations<T>(of: readonly T[]): T[][] {
  if (of.length < 2) return [[...of]];
  return of.flatMap((first, i) => permutations(of.filter((_, j) => j !== i)).map(rest => [first, ...rest]));
}

/**
 * Runs the steps in order, sometimes two adjacent ones in one request, with pauses of up to 20 s or
 * 200 s.
 */
function play(on: Stage, order: readonly Step[], random: Random, after: (done: readonly Step[]) => void): void {
  const done: Step[] = [];
  let waiting: Step[] = [];
  const flush = () => {
    if (waiting.length === 0) return;
    const config = request(on, waiting);
    on.a.configure(random.chance(0.5) ? config : byUapi(config));
    done.push(...waiting);
    waiting = [];
  };
  const rest = () => {
    after(done);
    if (done.length < order.length) on.sim.run(random.below(random.chance(0.1) ? 200_000 : 20_000));
  };
  for (const step of order) {
    if (step === 'up') {
      flush();
      on.a.engine.up(on.sim.now);
      done.push(step);
      rest();
    } else {
      waiting.push(step);
      if (random.chance(0.3)) continue;
      flush();
      rest();
    }
  }
  if (waiting.length === 0) return;
  flush();
  rest();
}

describe.each(permutations(STEPS).map(order => [order.join(', '), order] as const))('%s', (_, order) => {
  test('the keepalive is sent as soon as key, endpoint, interval and link are all present', () =>
    withSeed(random => {
      const on = stage(random);
      const { sim, a } = on;
      let complete = Number.NaN;
      play(on, order, random, done => {
        if (!(['key', 'endpoint', 'keepalive', 'up'] as const).every(step => done.includes(step))) {
          expect(sim.sentBy(a)).toEqual([]);
        } else if (Number.isNaN(complete)) {
          complete = sim.now;
          sim.run(30);
          expect(a.sentTypes).toEqual([INITIATION, TRANSPORT]);
          expect(isKeepalive(sim.sentBy(a, TRANSPORT)[0]!)).toBe(true);
        }
      });
      expect(complete).not.toBeNaN();
      // and it continues
      sim.run(8000);
      expect(sim.sentBy(a, TRANSPORT, sim.now - 8000).some(isKeepalive)).toBe(true);
    }));

  test('a packet that waits for the missing settings is sent once they are present', () =>
    withSeed(random => {
      const on = stage(random);
      const { sim, a, b } = on;
      const steps = order.filter(step => step !== 'keepalive');
      const waiting: number[] = [];
      play(on, steps, random, done => {
        const id = sim.send(a, b);
        // without a route, endpoint or link the sender gets an ICMP error or nothing, as from the
        // kernel
        if ((['allowed', 'endpoint', 'up'] as const).every(step => done.includes(step))) waiting.push(id);
        sim.run(30);
        const all = done.length === steps.length;
        expect(waiting.map(each => sim.wasDelivered(each))).toEqual(waiting.map(() => all));
      });
      expect(waiting.length).toBeGreaterThan(0);
      expect(sim.sentBy(a, INITIATION)).toHaveLength(1);
    }));
});

describe('the key', () => {
  const all = ['key', 'endpoint', 'keepalive', 'allowed'] as const;
  const complete = (seed: number) => {
    const on = stage(seeded(seed));
    on.a.configure(request(on, all));
    on.a.engine.up(on.sim.now);
    on.sim.run(100);
    expect(on.a.count('session')).toBe(1);
    return on;
  };

  test.each([1000, 6000, 8000, 100_000, 600_000])(
    'removed and set again after %i ms: the keepalive continues',
    wait => {
      const { sim, a } = complete(3);
      a.configure({ privateKey: NO_KEY });
      const from = sim.now;
      sim.run(wait);
      expect(sim.sentBy(a, undefined, from)).toEqual([]);
      a.configure({ privateKey: a.privateKey });
      // a keepalive that fell due during the gap is sent at once; otherwise it keeps its time
      sim.run(wait < 7000 ? 7000 : 30);
      expect(a.count('session')).toBe(2);
    },
  );

  test('removed at any time while the far side is silent, then set again: the handshake is retried', () =>
    withSeed(random => {
      for (let round = 0; round < 50; round++) {
        const on = stage(random);
        const { sim, a } = on;
        sim.wire.cut = true;
        a.configure(request(on, all));
        a.engine.up(sim.now);
        sim.run(random.below(200_000));
        a.configure({ privateKey: NO_KEY });
        sim.run(random.below(200_000));
        sim.wire.cut = false;
        a.configure({ privateKey: a.privateKey });
        sim.run(7100);
        expect(a.count('session')).toBe(1);
      }
    }));

  test('replaced by another does not count as first: sessions end, and the interval continues', () => {
    const { sim, a, b } = complete(4);
    const from = sim.now;
    a.configure({ privateKey: b.privateKey.map(byte => byte ^ 0x55) });
    sim.run(6000);
    expect(sim.sentBy(a, undefined, from)).toEqual([]);
    sim.run(1000);
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(1);
  });

  test('of a device that is down starts nothing', () => {
    const on = stage(seeded(5));
    const { sim, a } = on;
    a.configure(request(on, ['endpoint', 'keepalive', 'allowed']));
    a.configure(request(on, ['key']));
    sim.run(60_000);
    expect(a.sentTypes).toEqual([]);
  });

  test('triggers every waiting peer, and no other', () => {
    const on = stage(seeded(6));
    const { sim, a } = on;
    const others = [sim.addNode(), sim.addNode(), sim.addNode()];
    a.engine.up(sim.now);
    const peers = others.map((node, i) => ({
      publicKey: node.publicKey,
      endpoint: node.endpoint,
      persistentKeepalive: i === 0 ? 0 : 25,
      allowedIps: [{ prefix: makePrefix(innerAddress(node.index, false), 32) }],
    }));
    a.configure({ peers });
    sim.run(3000);
    a.configure({ privateKey: a.privateKey });
    sim.run(5);
    expect(sim.sentBy(a, INITIATION).map(sent => sent.destination)).toEqual([others[1]!.endpoint, others[2]!.endpoint]);
  });
});

describe('a device that runs', () => {
  const running = (seed: number) => {
    const on = stage(seeded(seed));
    on.a.configure({ privateKey: on.a.privateKey });
    on.a.engine.up(on.sim.now);
    on.sim.run(10_000);
    return on;
  };

  test('sends a keepalive to an added peer at once', () => {
    const on = running(7);
    on.a.configure(byUapi(request(on, ['endpoint', 'keepalive'])));
    on.sim.run(30);
    expect(on.a.sentTypes).toEqual([INITIATION, TRANSPORT]);
  });

  test('starts with an interval that is set later, and again after the interval was off', () => {
    const on = running(8);
    const { sim, a, b } = on;
    const { publicKey } = b;
    a.configure({ peers: [{ publicKey, endpoint: b.endpoint, persistentKeepalive: 0 }] });
    sim.run(10_000);
    expect(a.sentTypes).toEqual([]);
    for (const persistentKeepalive of [5, 0, 9]) {
      const from = sim.now;
      a.configure({ peers: [{ publicKey, persistentKeepalive }] });
      sim.run(30);
      expect(sim.sentBy(a, TRANSPORT, from)).toHaveLength(persistentKeepalive === 0 ? 0 : 1);
      sim.run(20_000);
    }
  });

  test('sends one again after it was down, whatever was set in between', () => {
    const on = running(9);
    const { sim, a } = on;
    a.configure(request(on, ['endpoint', 'keepalive']));
    sim.run(100);
    a.engine.down();
    a.configure({ privateKey: NO_KEY });
    a.engine.up(sim.now);
    sim.run(1000);
    a.configure({ privateKey: a.privateKey });
    sim.run(30);
    expect(a.count('session')).toBe(2);
  });
});
