/** A control socket that an earlier process left, and that vanishes at the wrong moment. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { numericZones } from '../../src/config/zones.ts';
import { inodeOf, UapiServer } from '../../src/daemon/uapi-server.ts';
import { bindOnly } from '../support/bound-socket.ts';

test('a socket that vanishes while it is found to be stale is no error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-stale-'));
  const path = join(folder, 'stale.sock');
  const stale = bindOnly(path);
  // The connection is refused at once, and the answer arrives in a later turn.
  const listening = UapiServer.listen({
    path,
    device: { configure: () => {}, status: () => ({ listenPort: 0, fwmark: 0, peers: [] }), counters: () => ({}) },
    zones: numericZones,
    onRefused: () => {},
    onUnlinked: () => {},
  });
  rmSync(path);
  const other = await listening;
  expect(inodeOf(path)).not.toBe(0);
  other.close();
  stale();
  rmSync(folder, { recursive: true });
});
