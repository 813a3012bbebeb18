/** What the log says about a watch for sleep that ended. */
import { expect, test } from 'vitest';
import type { Log } from '../../src/daemon/log.ts';
import { watchSleepNotices } from '../../src/daemon/sleep-notices.ts';

test.each([
  ['notice', true],
  ['verbose', false],
])('the end of the watch is logged as %s if there was a bus: %s', (level, hadBus) => {
  const lines: string[] = [];
  const at = (name: string) => (text: string) => void lines.push(`${name}: ${text}`);
  const log: Log = { verbose: at('verbose'), error: at('error'), notice: at('notice') };
  watchSleepNotices({
    ...{ device: { forgetSessions: () => {} }, log, isVirtual: () => false },
    watchLogind: ({ onEnd }) => {
      onEnd('the bus closed the connection', hadBus);
      return () => {};
    },
  })();
  expect(lines).toEqual([`${level}: no notice before sleep: the bus closed the connection`]);
});
