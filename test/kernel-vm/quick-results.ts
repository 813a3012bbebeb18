/** What the guest tells of `wgts up` where the kernel has WireGuard: a line for each of these. */
export interface QuickResult {
  readonly name: string;
  readonly error?: string;
}

export const QUICK_CHECKS = {
  kernel: 'auto takes the kernel, and makes what wg-quick makes with it',
  userspace: 'native makes the same in userspace, but for the kind of link',
  killed: 'killed at any step of up over the kernel, the next up or down converges',
} as const;
