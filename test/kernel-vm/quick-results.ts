/** The results of `wgts up` with the kernel's WireGuard, one line each. */
export interface QuickResult {
  readonly name: string;
  readonly error?: string;
}

export const QUICK_CHECKS = {
  kernel: 'auto chooses the kernel, and makes what wg-quick makes',
  userspace: 'native makes the same in userspace, except for the kind of link',
  killed: 'after a kill at any step of up with the kernel, the next up or down converges',
} as const;
