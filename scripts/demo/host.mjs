// A host of the demo: a network namespace, a process that keeps it alive, and a wireguard-ts device in it.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_LIMIT = 10_000;

/**
 * Makes a namespace. Everything in it goes when the process that holds it is ended.
 * @param ownRun with a /run of its own, where control sockets are, for all its processes
 */
export async function makeHost(name, { ownRun = false } = {}) {
  const hold = ownRun ? ['-nm', 'sh', '-c', 'mount -t tmpfs none /run && exec sleep 600'] : ['-n', 'sleep', '600'];
  const holder = spawn('unshare', hold, { stdio: 'ignore' });
  const inside = ['-t', String(holder.pid), '-n', ...(ownRun ? ['-m'] : [])];
  const failed = new Promise((_, reject) => holder.once('error', reject));
  const host = {
    name,
    pid: holder.pid,
    /** A command in there; its standard output. */
    run: (...command) => execFileSync('nsenter', [...inside, ...command], { encoding: 'utf8' }),
    runLater: async (...command) => (await promisify(execFile)('nsenter', [...inside, ...command])).stdout,
    spawn: (...command) => spawn('nsenter', [...inside, ...command], { stdio: ['ignore', 'pipe', 'inherit'] }),
    end: () => holder.kill('SIGKILL'),
  };
  await Promise.race([failed, leftOurs(holder.pid)]);
  host.run('ip', 'link', 'set', 'lo', 'up');
  return host;
}

/** `unshare` needs a moment. */
async function leftOurs(pid) {
  const { readFileSync, readlinkSync } = await import('node:fs');
  const ours = readlinkSync('/proc/self/ns/net');
  for (let i = 0; i < 200; i++) {
    try {
      const mounted = readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
      if (mounted && readlinkSync(`/proc/${pid}/ns/net`) !== ours) return;
    } catch {
      throw new Error('a network namespace could not be made (unshare -n ended)');
    }
    await sleep(10);
  }
  throw new Error('a network namespace could not be made in 2 s');
}

/** Starts `wireguard-ts INTERFACE` on a host and waits for its control socket. */
export async function startDevice(host, name) {
  const child = host.spawn(process.execPath, join(ROOT, 'dist/cli/wireguard-ts.js'), '-f', name);
  const socket = `/var/run/wireguard/${name}.sock`;
  for (const end = Date.now() + START_LIMIT; !existsSync(socket); await sleep(5)) {
    if (child.exitCode !== null) throw new Error('wireguard-ts did not start');
    if (Date.now() > end) throw new Error(`wireguard-ts made no control socket in ${START_LIMIT / 1000} s`);
  }
  return { set: lines => request(socket, `set=1\n${lines.join('\n')}\n\n`), stop: () => child.kill() };
}

/** One operation of the UAPI. */
function request(path, text) {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(text));
    let answer = '';
    socket.setEncoding('utf8').on('error', reject);
    socket.on('data', chunk => {
      answer += chunk;
      if (!answer.endsWith('\n\n')) return;
      socket.end();
      if (answer === 'errno=0\n\n') resolve();
      else reject(new Error(`the device refused its configuration: ${answer.trim()}`));
    });
  });
}
