/**
 * The addon's handles: each function accepts only handles of its own kind. A handle of another
 * kind, another addon's External, an object or a number is a TypeError, and is never read as
 * memory. A closed or erased handle is harmless.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

type Call = (...args: unknown[]) => unknown;

const bytes = (size = 256) => new Uint8Array(size);
const numbers = (size = 64) => new Int32Array(size);
const directory = mkdtempSync(join(tmpdir(), 'wireguard-foreign-'));
let sockets = 0;
/** The descriptor's owner, which must stay open while it is polled. */
const kept: unknown[] = [];
/**
 * For each kind of handle: how to make it, and the functions that take it, with valid further
 * arguments.
 */
const KINDS: Readonly<
  Record<string, { make: (native: Record<string, Call>) => unknown; takes: Record<string, unknown[]> }>
> = {
  tun: {
    make: native => native['tunOpen']!('handles%d', -1, 15, 0),
    takes: {
      tunFd: [],
      tunRead: [bytes(1 << 18), numbers(), 1],
      tunWrite: [bytes(), numbers(), 0],
      tunWriteGroups: [bytes(), numbers(), 0, numbers(), numbers(), 0],
      tunRetry: [],
      tunStatus: [numbers()],
      tunWasPersistent: [],
      tunPersist: [0],
      tunKept: [numbers()],
      tunCounters: [],
      tunFail: [0, 0, 0],
      tunClose: [],
    },
  },
  lanes: {
    make: native => native['lanesOpen']!(native['cipherCreate']!('openssl'), 2),
    takes: {
      lanesSeal: [undefined, bytes(), numbers(), 0, bytes(), numbers(), bytes(), 0],
      lanesUnseal: [bytes(), numbers(), 0],
      lanesHelp: [],
      lanesDone: [numbers()],
      lanesNext: [],
      lanesFd: [],
      lanesWatch: [],
      lanesTimes: [new Float64Array(3)],
      lanesClose: [],
    },
  },
  udp: {
    make: native => native['udpOpen']!(0, 0, 7),
    takes: {
      udpInfo: [],
      udpReceive: [3, 1, bytes(1 << 17), numbers(), bytes()],
      udpSend: [bytes(), numbers(), bytes(), 0],
      udpSetMark: [0],
      udpSetBuffers: [0],
      udpRetry: [],
      udpFail: [0, 0, 0],
      udpClose: [],
    },
  },
  rights: {
    // each socket has a path of its own: earlier ones stay open
    make: native => native['rightsListen']!(join(directory, `rights-${sockets++}`), 1),
    takes: {
      rightsAccept: [],
      rightsFd: [],
      rightsSend: [bytes(1), numbers(0), 0],
      rightsReceive: [bytes(1), numbers()],
      rightsClose: [],
    },
  },
  netlink: {
    make: native => native['netlinkOpen']!(0, numbers(0)),
    takes: { netlinkFd: [], netlinkReceive: [bytes(1 << 17), numbers()], netlinkSend: [bytes(16)], netlinkClose: [] },
  },
  alarm: {
    make: native => native['clockAlarmOpen']!(),
    takes: { clockAlarmFd: [], clockAlarmRearm: [], clockAlarmClose: [] },
  },
  notices: {
    make: native => native['noticesOpen']!(3),
    takes: { noticesFd: [], noticesDrain: [], noticesClose: [] },
  },
  poll: {
    make: native => {
      const netlink = native['netlinkOpen']!(0, numbers(0));
      kept.push(netlink);
      return native['pollStart']!(native['netlinkFd']!(netlink), () => {});
    },
    takes: { pollStop: [] },
  },
  cipher: {
    make: native => native['cipherCreate']!((native['cipherProviders']!() as { name: string }[]).at(-1)!.name),
    takes: {
      cipherSetKey: [0, bytes(32)],
      cipherEraseKey: [0],
      cipherCopyKey: [0, bytes(32)],
      cipherSeal: [bytes(), bytes(), numbers(), 1],
      cipherOpen: [bytes(), numbers(), 1],
      lanesOpen: [2],
    },
  },
  aead: { make: native => native['aeadState']!(), takes: { aeadSeal: [bytes(), 0, 16], aeadOpen: [bytes(), 0, 16] } },
  blake2s: {
    make: native => native['blake2sOpen']!(),
    takes: {
      blake2sHash: [bytes(), 3],
      blake2sMac: [bytes(), 32, 3],
      blake2sHmac: [bytes(), 32, 3],
      blake2sKdf: [bytes(), 32, 2],
    },
  },
  x25519: {
    make: native => native['x25519Key']!(bytes().fill(7)),
    takes: { x25519Shared: [bytes(), 2], x25519Erase: [] },
  },
};
/** Functions that take no handle. */
const WITHOUT = [
  ...[
    'clockRead',
    'clockAlarmOpen',
    'randomFill',
    'pollStart',
    'spinLimit',
    'noticesOpen',
    'netlinkOpen',
    'notifySend',
    'forbidDumps',
    'tunOpen',
    'udpOpen',
  ],
  ...[
    'tunAdopt',
    'udpAdopt',
    'rightsListen',
    'rightsConnect',
    'rightsPeer',
    'rightsCopy',
    'rightsToken',
    'fileLock',
    'kernelLogOpen',
    'kernelLogRead',
  ],
  ...[
    'cipherCreate',
    'cipherProviders',
    // also takes a TUN: test/io/lanes.test.ts
    'lanesWrite',
    'offloadSplit',
    'offloadMerge',
    'aeadState',
    'blake2sOpen',
    'x25519Key',
    'x25519Fresh',
  ],
  ...['dropPrivileges', 'sandboxProgram', 'sandboxInstall'],
];
const FUNCTIONS = Object.entries(KINDS).flatMap(([kind, { takes }]) =>
  Object.entries(takes).map(([name, args]) => ({ kind, name, args })),
);

inOwnNamespace(import.meta.url, ['cc'], () => {
  const native = nativeBinding() as unknown as Record<string, Call>;
  const wrong = new Map<string, unknown>();
  let server: Server;
  beforeAll(async () => {
    for (const [kind, { make }] of Object.entries(KINDS)) wrong.set(kind, make(native));
    const require = createRequire(import.meta.url);
    const library = join(directory, 'foreign.node');
    const headers = (require('node-api-headers') as { include_dir: string }).include_dir;
    const source = fileURLToPath(new URL('foreign-handle.c', import.meta.url));
    execFileSync(process.env['CC'] ?? 'cc', ['-shared', '-fPIC', `-I${headers}`, source, '-o', library]);
    const { foreign, tagged } = require(library) as { foreign: Call; tagged: Call };
    for (const address of [0, 1, 16, 4096]) {
      wrong.set(`another addon's, to ${address}`, foreign(address));
      wrong.set(`another addon's with a tag, to ${address}`, tagged(address));
    }
    server = createServer().listen(0, '127.0.0.1');
    const stream = (server as unknown as { _handle?: { _externalStream?: unknown } })._handle?._externalStream;
    if (stream !== undefined) wrong.set("Node's own", stream);
    const others = [
      {},
      [],
      null,
      undefined,
      0,
      -1,
      2 ** 53,
      1n,
      'text',
      Symbol('s'),
      () => {},
      bytes(),
      new Proxy({}, {}),
    ];
    for (const [i, value] of others.entries()) wrong.set(`value ${i}, ${typeof value}`, value);
    // Node 26 itself ends with SIGSEGV when an object is made that inherits from an External, even
    // one of Node's own
    if (Number(process.versions.node.split('.')[0]) < 24)
      wrong.set('an object that inherits from a handle', Object.create(wrong.get('udp') as object));
  });
  afterAll(() => {
    server?.close();
    for (const kind of ['tun', 'udp', 'netlink', 'notices']) native[`${kind}Close`]!(wrong.get(kind));
    native['pollStop']!(wrong.get('poll'));
    rmSync(directory, { recursive: true, force: true });
  });

  test('every function of the addon is in this list', () => {
    expect([...FUNCTIONS.map(({ name }) => name), ...WITHOUT].sort()).toEqual(Object.keys(native).sort());
  });

  describe.each(FUNCTIONS)('$name', ({ kind, name, args }) => {
    test('takes a handle of its own kind', () => {
      const handle = KINDS[kind]!.make(native);
      try {
        native[name]!(handle, ...args);
      } catch (error) {
        // a forged text and a request of zeros are refused for their content
        expect((error as Error).message).not.toContain('handle');
      }
      const end = { x25519: 'x25519Erase', poll: 'pollStop' }[kind] ?? `${kind}Close`;
      if (native[end] && name !== 'x25519Erase') native[end](handle);
    });

    test('refuses everything else', () => {
      expect(wrong.size).toBeGreaterThan(25);
      for (const [what, value] of wrong)
        if (what !== kind)
          expect(() => native[name]!(value, ...args), what).toThrow(new TypeError('not a handle of the right kind'));
      expect(() => native[name]!()).toThrow(TypeError);
    });
  });

  test('using an erased key is a TypeError', () => {
    const key = KINDS['x25519']!.make(native);
    native['x25519Erase']!(key);
    expect(() => native['x25519Erase']!(key)).toThrow(new TypeError('this key was erased'));
    expect(() => native['x25519Shared']!(key, bytes(), 2)).toThrow(new TypeError('this key was erased'));
  });

  test.each(['tun', 'udp', 'netlink', 'notices', 'poll'])(
    '%s: a closed handle does nothing, and can be closed again',
    kind => {
      const handle = KINDS[kind]!.make(native);
      const end = kind === 'poll' ? 'pollStop' : `${kind}Close`;
      native[end]!(handle);
      native[end]!(handle);
      for (const [name, args] of Object.entries(KINDS[kind]!.takes)) {
        try {
          native[name]!(handle, ...args);
        } catch (error) {
          expect(error).toHaveProperty('code', 'EBADF');
        }
      }
    },
  );
});
