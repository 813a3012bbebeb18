/** Adapts nftables of this network namespace to the Tables port. */
import { createHash } from 'node:crypto';
import { readTable, removeTables, replaceTables } from '../../../netlink/nftables.ts';
import type { NetlinkPort } from '../../../netlink/port.ts';
import type { Tables } from '../ports.ts';

export function systemTables(port: NetlinkPort): Tables {
  return {
    replace: table => replaceTables(port, [table]),
    remove: table => removeTables(port, [table]),
    async read(table, sets) {
      const bytes = await readTable(port, table, sets);
      return bytes && createHash('sha256').update(bytes).digest('base64');
    },
  };
}
