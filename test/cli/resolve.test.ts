import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { resolveAll, resolveEndpoint } from '../../src/cli/resolve.ts';
import { ConfigError } from '../../src/config/errors.ts';

const endpoint = { host: 'vpn.example.com', port: 51820 };

/** A name server that gives these answers in order, and then repeats the last one. */
function nameServer(...answers: readonly string[]) {
  const errors: string[] = [];
  const waits: number[] = [];
  let asked = 0;
  return {
    errors,
    waits,
    asked: () => asked,
    options: (retries?: string) => ({
      retries,
      err: (text: string) => void errors.push(text),
      wait: async (milliseconds: number) => void waits.push(milliseconds),
      lookup: async (host: string) => {
        expect(host).toBe(endpoint.host);
        const answer = answers[Math.min(asked++, answers.length - 1)]!;
        if (!parseAddress(answer.split('%')[0]!)) throw Object.assign(new Error(answer), { code: answer });
        return { address: answer };
      },
    }),
  };
}

test('takes the first answer of either family, with its zone', async () => {
  expect(await resolveEndpoint(endpoint, nameServer('192.0.2.1').options())).toEqual(parseEndpoint('192.0.2.1:51820'));
  expect(await resolveEndpoint(endpoint, nameServer('2001:db8::1').options())).toEqual(
    parseEndpoint('[2001:db8::1]:51820'),
  );
  const record = await resolveEndpoint(endpoint, nameServer('fe80::1%4242').options());
  expect(record).toEqual(makeEndpoint(parseAddress('fe80::1')!, 51820, 4242));
});

test('returns all answers in order, without those that are not addresses', async () => {
  const lookup = async () => ['192.0.2.1', 'fe80::1%nowhere', '2001:db8::1'].map(address => ({ address }));
  const options = { err: () => {}, lookup };
  const found = ['192.0.2.1:51820', '[2001:db8::1]:51820'].map(text => parseEndpoint(text)!);
  expect(await resolveAll(endpoint, options)).toEqual(found);
  expect(await resolveEndpoint(endpoint, options)).toEqual(found[0]);
  const none = resolveAll(endpoint, { ...options, lookup: async () => [{ address: 'fe80::1%nowhere' }] });
  await expect(none).rejects.toThrow(/`fe80::1%nowhere' cannot be used here/);
});

test('retries temporary errors with growing delays', async () => {
  const { options, errors, waits } = nameServer('EAI_AGAIN', 'EAI_MEMORY', '192.0.2.1');
  expect(await resolveEndpoint(endpoint, options())).toEqual(parseEndpoint('192.0.2.1:51820'));
  expect(waits).toEqual([1000, 1200]);
  expect(errors).toEqual([
    "EAI_AGAIN: `vpn.example.com:51820'. Trying again in 1.00 seconds...\n",
    "EAI_MEMORY: `vpn.example.com:51820'. Trying again in 1.20 seconds...\n",
  ]);
});

test.each([
  [undefined, 15],
  ['0', 0],
  ['3', 3],
])('WG_ENDPOINT_RESOLUTION_RETRIES=%s retries %d times, then fails and names the endpoint', async (retries, count) => {
  const { options, waits } = nameServer('EAI_AGAIN');
  await expect(resolveEndpoint(endpoint, options(retries))).rejects.toThrow(/vpn\.example\.com:51820.*EAI_AGAIN/);
  expect(waits).toHaveLength(count);
  expect(Math.max(0, ...waits)).toBeLessThanOrEqual(20_000);
});

test('retries forever with `infinity`, at most 20 s apart', async () => {
  const { options, waits } = nameServer(...Array.from({ length: 100 }, () => 'EAI_AGAIN'), '192.0.2.1');
  await resolveEndpoint(endpoint, options('infinity'));
  expect(waits).toHaveLength(100);
  expect(waits.at(-1)).toBe(20_000);
});

test.each(['ENOTFOUND', 'EAI_FAIL', 'EINVAL'])('does not retry %s', async code => {
  const { options, asked } = nameServer(code);
  await expect(resolveEndpoint(endpoint, options())).rejects.toThrow(ConfigError);
  expect(asked()).toBe(1);
});

test.each(['', 'many', '-1', '1.5', '2147483648'])('rejects %j as the number of retries', async retries => {
  const { options, asked } = nameServer('192.0.2.1');
  await expect(resolveEndpoint(endpoint, options(retries))).rejects.toThrow(/WG_ENDPOINT_RESOLUTION_RETRIES/);
  expect(asked()).toBe(0);
});
