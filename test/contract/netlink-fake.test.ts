/** The fake kernel keeps the netlink contract. */
import { describe } from 'vitest';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';
import { networkContract } from './netlink.ts';
import { routingContract } from './netlink-routing.ts';

describe.each([
  ['links, addresses, events', networkContract],
  ['routes, rules', routingContract],
] as const)('the fake kernel: %s', (_name, contract) => {
  contract(
    () => new FakeKernel(),
    () => 'ifb',
  );
});
