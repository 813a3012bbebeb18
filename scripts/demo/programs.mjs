// Starts the programs on a host of a demo: wireguard-ts, and the agent for Calico. Each is a child
// of the host's process and runs in its namespaces.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const PROGRAMS = fileURLToPath(new URL('../../dist/program/', import.meta.url));
const START_LIMIT_MS = 10_000;
const LAST = 4000;

let agent;
let watched;

/**
 * Starts `wireguard-ts -f INTERFACE`, waits until its control socket answers, and configures it.
 * @param lines the configuration in UAPI syntax
 */
export async function startDevice(name, lines, onTrouble) {
  const daemon = start('wireguard-ts', ['-f', name]);
  daemon.exited.then(how => onTrouble(`wireguard-ts ${name} ended (${how})`));
  for (const end = performance.now() + START_LIMIT_MS; ; ) {
    const answer = await ask(name, 'get=1\n\n').catch(() => '');
    if (answer.includes('errno=0\n')) break;
    if (performance.now() > end)
      throw new Error(`wireguard-ts did not answer on its control socket within ${START_LIMIT_MS / 1000} s`);
    await later(10);
  }
  const answer = await ask(name, `set=1\n${lines.join('\n')}\n\n`);
  if (answer !== 'errno=0\n\n') throw new Error(`wireguard-ts refused its configuration: ${answer.trim()}`);
}

/** Starts `wgts calico`. */
export function startAgent(options, onTrouble) {
  const started = start('wgts', ['calico', ...options]);
  agent = started;
  started.exited.then(how => {
    if (agent === started) onTrouble(`its agent ended (${how})`);
  });
}

/** Kills the agent, as a crash would. */
export async function killAgent() {
  const { child, exited } = agent;
  agent = undefined;
  child.kill('SIGKILL');
  await exited;
}

/**
 * Calls `onTrouble` when the process of a tunnel ends: its end closes the connection to its control
 * socket.
 */
export async function watchDevice(name, onTrouble) {
  const socket = connect(socketPath(name));
  await once(socket, 'connect');
  watched = socket;
  socket.on('error', () => {});
  socket.once('close', () => {
    if (watched === socket) onTrouble(`the process of its tunnel ${name} ended`);
  });
  socket.resume();
}

/** Stops watching the tunnel; call this before ending its process on purpose. */
export function unwatchDevice() {
  watched?.destroy();
  watched = undefined;
}

/** Returns the output of `wgts verify` and ignores its exit status. */
export async function verify(options) {
  const { child, exited } = start('wgts', ['verify', ...options], 'pipe');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', part => {
    text += part;
  });
  await exited;
  return text;
}

function start(program, args, output = 'ignore') {
  const child = spawn(process.execPath, [`${PROGRAMS}${program}.cjs`, ...args], { stdio: ['ignore', output, 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr = (stderr + text).slice(-LAST);
    if (process.env.WGTS_DEMO_DEBUG) process.stderr.write(text);
  });
  const exited = new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    // Not `close`: a tunnel that the agent started keeps the agent's standard error open.
    child.once('exit', (code, signal) => {
      const last = stderr.trim().split('\n').at(-1);
      resolve(`${signal ?? `status ${code}`}${last ? `: ${last}` : ''}`);
    });
  });
  return { child, exited };
}

/** Sends one UAPI request and returns the answer. */
function ask(name, request) {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(name), () => socket.write(request));
    let answer = '';
    socket.setEncoding('utf8').on('error', reject);
    socket.on('data', text => {
      answer += text;
      if (answer.endsWith('\n\n')) socket.end();
    });
    socket.on('close', () => resolve(answer));
  });
}

function socketPath(name) {
  return `/var/run/wireguard/${name}.sock`;
}

function later(milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
