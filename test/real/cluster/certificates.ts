/** The cluster's authorities and certificates, made by openssl in a folder of files. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** One authority with the files `NAME.crt` and `NAME.key` in a folder. */
export class Authority implements Identity {
  readonly certificate: string;
  readonly key: string;
  readonly #folder: string;

  constructor(folder: string, name = 'ca') {
    this.#folder = folder;
    this.certificate = join(folder, `${name}.crt`);
    this.key = join(folder, `${name}.key`);
    openssl(
      'req',
      '-x509',
      ...KEY,
      '-keyout',
      this.key,
      '-out',
      this.certificate,
      '-subj',
      `/CN=${name}-of-the-cluster`,
    );
  }

  /** Issues a server's certificate. @param names such as `IP:10.0.0.1`, `DNS:localhost` */
  issueServer(name: string, names: readonly string[]): Identity {
    return this.#issue(name, `/CN=${name}`, ['-addext', `subjectAltName=${names.join(',')}`]);
  }

  /** Issues a client's certificate, which Kubernetes reads as a user in a group. */
  issueClient(name: string, user: string, group?: string): Identity {
    return this.#issue(name, `${group === undefined ? '' : `/O=${group}`}/CN=${user}`, []);
  }

  #issue(name: string, subject: string, more: readonly string[]): Identity {
    const made = { certificate: join(this.#folder, `${name}.crt`), key: join(this.#folder, `${name}.key`) };
    const by = ['-CA', this.certificate, '-CAkey', this.key, '-addext', 'basicConstraints=critical,CA:FALSE'];
    openssl('req', '-x509', ...KEY, ...by, ...more, '-keyout', made.key, '-out', made.certificate, '-subj', subject);
    return made;
  }
}

/** Makes a key pair with which the API server signs the tokens of service accounts. */
export function makeAccountKey(path: string): void {
  openssl('genrsa', '-out', `${path}.new`, '2048');
  copyFileSync(`${path}.new`, path);
}

/** Writes a kubeconfig of one user. @returns its path */
export function writeKubeconfig(path: string, server: string, authority: string, user: Identity): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'real', cluster: { server, 'certificate-authority': authority } }],
    users: [{ name: 'user', user: { 'client-certificate': user.certificate, 'client-key': user.key } }],
    contexts: [{ name: 'real', context: { cluster: 'real', user: 'user' } }],
    'current-context': 'real',
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
