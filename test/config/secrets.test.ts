/**
 * Error messages about client input go to a log that others may read, so they must not contain
 * secrets.
 */
import { describe, expect, test } from 'vitest';
import { UapiRequestParser } from '../../src/config/uapi.ts';

describe('error messages do not repeat a misplaced secret', () => {
  const hex = '1111111122222222333333334444444455555555666666667777777788888888';
  const base64 = 'ERERESIiIiIzMzMzRERERFVVVVVmZmZmd3d3d4iIiIg=';
  for (const text of [
    `private_key=${hex}`,
    `set=1\nprivate_key:${hex}\n`,
    `set=1\n${hex}\n`,
    `set=1\n${base64}\n`,
    `set=1\n${hex}=private_key\n`,
    `get=1\nprivate_key=${hex}\n`,
    `set=1\nprivate_key=${hex}00\n`,
    `set=1\nlisten_port=${hex}\n`,
    `set=1\nfwmark=${base64}\n`,
    `set=1\nreplace_peers=${hex}\n`,
    ...['preshared_key', 'endpoint', 'allowed_ip', 'persistent_keepalive_interval', 'protocol_version', base64].map(
      key => `set=1\npublic_key=${'ab'.repeat(32)}\n${key}=${key === 'preshared_key' ? '0' : ''}${hex}\n`,
    ),
  ])
    test(JSON.stringify(text.replaceAll(hex, 'HEX').replaceAll(base64, 'BASE64')), () => {
      const requests = new UapiRequestParser().push(`${text}\n`);
      expect(requests).toHaveLength(1);
      const request = requests[0]!;
      if (request.kind !== 'invalid') throw new Error('it was taken');
      const { message, value, reason } = request.error;
      for (const told of [message, reason, value ?? ''])
        for (const secret of [hex, base64])
          for (let at = 0; at + 12 <= secret.length; at++) expect(told).not.toContain(secret.slice(at, at + 12));
    });
});
