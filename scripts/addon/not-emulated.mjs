// Tests that `npm run test:arm64` excludes: the emulation supports their features only in part, or
// they need arm64 tools. test/rules/not-emulated.test.ts holds the names to the tests.

export const NOT_EMULATED_FILES = [
  // This test compiles a program with this machine's compiler, for this machine.
  'test/fuzz/memory-safety.test.ts',
  // qemu translates netlink messages, and drops what it does not know: rules and many attributes.
  'test/contract/netlink-ip.test.ts',
  'test/contract/netlink-kernel.test.ts',
  // This test passes descriptors over sockets, which was not tried under emulation.
  'test/fuzz/take-over.test.ts',
  // This test needs SO_ATTACH_REUSEPORT_CBPF.
  'test/contract/udp-handshakes.test.ts',
];

/**
 * Parts of the full names of tests in files that otherwise run, in order: these tests use SO_MARK.
 */
export const NOT_EMULATED_TESTS = [
  ['accepts a mark'],
  ['the control socket of ours, ', 'reads back what was set'],
  ['the control socket of ours, ', 'sync sends nothing without differences'],
];
