/** A control socket that answers like a daemon and records its requests, to compare clients. */
import { mkdirSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

export class FakeDevice {
  readonly name: string;
  /** Every request, with its blank line. */
  readonly requests: string[] = [];
  /** The answer to `get`, without errno. */
  status = '';
  /** The errno of `set`. */
  setErrno = 0;
  readonly #server: Server;
  readonly #path: string;

  constructor(name: string) {
    this.name = name;
    this.#path = `/var/run/wireguard/${name}.sock`;
    this.#server = createServer({ allowHalfOpen: true }, socket => {
      let text = '';
      socket.setEncoding('utf8').on('error', () => {});
      socket.on('data', chunk => {
        text += chunk;
        if (!text.endsWith('\n\n')) return;
        this.requests.push(text);
        if (text.startsWith('get=1')) socket.end(`${this.status}errno=0\n\n`);
        else if (text.startsWith('set=1')) socket.end(`errno=${this.setErrno}\n\n`);
        else socket.destroy(); // as wireguard-go does
        text = '';
      });
      socket.on('end', () => socket.end());
    });
  }

  open(): Promise<void> {
    mkdirSync('/var/run/wireguard', { recursive: true, mode: 0o755 });
    return new Promise((resolve, reject) => this.#server.once('error', reject).listen(this.#path, resolve));
  }

  close(): void {
    this.#server.close();
    try {
      unlinkSync(this.#path);
    } catch {
      // listen() failed
    }
  }
}
