// How a demo begins: in namespaces of its own, as root or without.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { addonPath } from '../../dist/io/native-binding.js';

const INSIDE = 'WGTS_DEMO_INSIDE';

/** Starts the script again in namespaces of its own (network, mounts, and without root a user namespace), unless it is there already. */
export function enter(script) {
  if (process.env[INSIDE] === '1') return;
  if (!existsSync('/dev/net/tun'))
    stop('there is no /dev/net/tun here: modprobe tun, or give the container --device /dev/net/tun');
  try {
    addonPath();
  } catch (error) {
    stop(error.message);
  }
  const root = process.getuid() === 0;
  // whatever is still running in there ends with it
  const all = ['--pid', '--fork', '--kill-child', '--mount-proc'];
  const args = [root ? '-nm' : '-Urnm', ...all, process.execPath, script];
  const { status, error } = spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  if (error) stop(`unshare could not be run (${error.message}): apt-get install util-linux`);
  // what goes wrong inside says so itself
  if (status !== 0 && !root && spawnSync('unshare', ['-Urnm', 'true'], { stdio: 'ignore' }).status !== 0)
    console.error(
      'Without root this needs user namespaces (unshare -Urn true). Where they are forbidden, run it as root.',
    );
  process.exit(status ?? 1);
}

export const HINTS = {
  EACCES:
    '\n  /dev/net/tun may be opened by root alone here: run it as root, or let everyone open it, as most systems do (chmod 0666 /dev/net/tun)',
};

function stop(message) {
  console.error(`wireguard-ts demo: ${message}`);
  process.exit(1);
}
