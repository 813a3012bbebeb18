/** What the README tells a newcomer to run: both demos end well, and say so line by line. */
import { expect, it } from 'vitest';
import { run } from './command.ts';
import { ROOT } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';

describeWith(NETWORK, 'the demos', () => {
  for (const [script, lines] of [
    ['demo', 5],
    ['demo-calico', 5],
  ] as const)
    it(`${script}: ${lines} things are shown, and all are ok`, async () => {
      const { stdout, stderr, code } = await run([process.execPath, `${ROOT}/scripts/${script}.mjs`], {
        mayFail: true,
        timeout: 110_000,
      });
      expect({ code, failed: stdout.match(/FAILED.*|failed.*/g), stderr }).toEqual({
        code: 0,
        failed: null,
        stderr: '',
      });
      expect(stdout.match(/^ {2}ok /gm)).toHaveLength(lines);
    });
});
