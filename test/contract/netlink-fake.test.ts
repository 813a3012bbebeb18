/** The fake kernel keeps the contract of netlink. */
import { describe } from 'vitest';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';
import { networkContract } from './netlink.ts';
import { routingContract } from './netlink-routing.ts';

describe.each([networkContract, routingContract])('the fake kernel: $name', contract => {
  contract(
    () => new FakeKernel(),
    () => 'ifb',
  );
});
