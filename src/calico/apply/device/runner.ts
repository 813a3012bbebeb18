/**
 * Keeps a userspace device in a process of this agent's container and program version. Processes of
 * another container end with it, and those of another version stay what they are, so the first turn
 * of a new agent takes such a device over, with its sessions.
 *
 * The runner is recorded when it starts, because a process cannot be asked for its container.
 */
import type { ApplyContext } from '../ports.ts';

/**
 * Takes the device over if another runner is recorded. A device that cannot be taken over stays as
 * it is, because it carries packets; the next full turn tries again.
 * @returns false if it is not taken over: its process may have ended since
 */
export async function ensureRunner({ host, recordChange }: ApplyContext, name: string): Promise<boolean> {
  const { runners, devices, warn } = host;
  const runner = runners.read(name);
  if (runner === runners.own) return true;
  const from = runner ?? 'a process that no agent recorded';
  let failure = 'its process cannot hand it over, because it is of an older version';
  try {
    if (await devices.takeOver(name)) {
      recordChange(`device ${name}: taken over from ${from}`);
      runners.write(name, runners.own);
      return true;
    }
  } catch (error) {
    failure = (error as Error).message;
  }
  if (runners.isNews(name, failure))
    warn(
      `device ${name} stays with ${from}: ${failure}. It ends with its container; this agent then starts it again, with new handshakes`,
    );
  return false;
}
