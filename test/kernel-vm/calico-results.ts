/** The results of the agent's checks with the kernel's WireGuard, one line each. */
export interface CalicoResult {
  readonly name: string;
  readonly error?: string;
}

export const CALICO_CHECKS = {
  peer: 'in userspace, a full member beside a Felix node with the module: ping and TCP both ways, nothing in the clear',
  takeOver: 'with --take-over, the same tunnel is the kernel’s own, with the same key; NAPI threading toggles 0-1-0',
  left: 'without --take-over, a node with the module is left to Felix: everything is removed, the key too, and the log says so',
  handOver: 'when the kernel gains the module, the node is handed over automatically within a resync',
} as const;
