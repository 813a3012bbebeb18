/** What the guest tells of the agent where the kernel has WireGuard: a line for each of these. */
export interface CalicoResult {
  readonly name: string;
  readonly error?: string;
}

export const CALICO_CHECKS = {
  peer: 'in userspace, a full member beside a node of Felix with the module: ping and TCP both ways, nothing in the clear',
  takeOver: 'told to take over, the same tunnel is the kernel’s own, with the same key; NAPI threading toggles 0-1-0',
  left: 'not told, a node with the module is left to Felix: all that was made is gone, the key too, and it says so',
  handOver: 'when the kernel gains the module, the node is handed over by itself within a resync',
} as const;
