/** The result of each check in the guest. */

export interface CheckResult {
  readonly name: string;
  readonly error?: string;
  readonly setMilliseconds?: number;
  readonly getMilliseconds?: number;
  readonly removeMilliseconds?: number;
}

export const BIG =
  '1,000 peers with 10 allowed IPs each: set, read and shown by wg are equal; one allowed IP is removed';
export const NETWORK_CHECK = 'the device as a link, with an MTU and an address, is what ip shows';
