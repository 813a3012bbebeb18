// Represents a host of a demo in the inner process. The host is a Node process in its own network
// namespace, which executes methods on request.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';

const PROGRAM = fileURLToPath(new URL('host-process.mjs', import.meta.url));
const LAST = 2000;

/** Starts hosts, and reports in one promise when a host, or a program on one, ends too early. */
export class Hosts {
  /** Rejects with a Failure if a host or a program ends too early; never resolves. */
  trouble;
  #reject;

  constructor() {
    this.trouble = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.trouble.catch(() => {});
  }

  /**
   * Starts a host. Resolves when the host accepts requests.
   * @param ownSockets whether the host has its own folder of control sockets, as a separate machine
   * would
   */
  async start(name, { ownSockets = false } = {}) {
    const host = new Host(name, ownSockets, failure => this.#reject(failure));
    await Promise.race([host.ready, this.trouble]);
    return host;
  }
}

class Host {
  name;
  pid;
  ready;
  #child;
  #calls = new Map();
  #next = 0;
  #stderr = '';

  constructor(name, ownSockets, onTrouble) {
    this.name = name;
    const namespaces = ownSockets ? ['-n', '-m'] : ['-n'];
    const args = [...namespaces, '--', process.execPath, PROGRAM, name, ownSockets ? 'own-sockets' : 'shared-sockets'];
    this.#child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.pid = this.#child.pid;
    this.#child.stderr.setEncoding('utf8').on('data', text => {
      this.#stderr = (this.#stderr + text).slice(-LAST);
    });
    this.#child.once('error', error => onTrouble(new Failure(`unshare cannot be run (${error.code})`)));
    this.#child.once('close', (code, signal) =>
      onTrouble(
        new Failure(
          `${name} ended before its time (${signal ?? `status ${code}`}${lastLine(this.#stderr)}); run it again`,
        ),
      ),
    );
    this.ready = new Promise(resolve => {
      this.#child.on('message', message => {
        if (message.ready) resolve();
        else if (message.trouble) onTrouble(new Failure(`${message.trouble}; run it again`));
        else this.#answer(message);
      });
    });
  }

  /** Calls a method of host-process.mjs on the host. */
  ask(method, ...args) {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, method, args });
    });
  }

  #answer({ id, result, error }) {
    const { resolve, reject } = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Failure(`${this.name}: ${error}`));
  }
}

function lastLine(text) {
  const line = text.trim().split('\n').at(-1);
  return line ? `: ${line}` : '';
}
