/**
 * Requests to an API server as @kubernetes/client-node's KubeConfig says where it is and who we are: a kubeconfig, or the service account of a pod. All
 * that may change on disk is read anew: certificates and tokens for each connection, everything after a 401.
 *
 * The library's own client is not used: it does not tell how long a server asks to wait, and neither notices a connection that has gone silent.
 */
import { existsSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { KubeConfig } from '@kubernetes/client-node';
import { exactJson, parseExactJson } from '../parse/exact-json.ts';
import { ApiError, apiError, parseJson } from './error.ts';

export interface ConnectionOptions {
  /** A kubeconfig. Otherwise that of KUBECONFIG, then the pod's service account, then ~/.kube/config. */
  readonly kubeconfig?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that an answer may be silent, 30,000. */
  readonly patience?: number;
  /** Before the paths of a pod's service account. */
  readonly root?: string;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From `/api` or `/apis` on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Whether the answer's numbers are to be as exact as they are written (exact-json.ts): of objects that are written again. */
  readonly exact?: boolean;
  readonly signal?: AbortSignal;
}

export interface Stream {
  /** Milliseconds that it may be silent. */
  readonly silence: number;
  /** It has been accepted. */
  readonly onOpen: () => void;
  /** @throws whatever ends the stream */
  readonly onLine: (line: string) => void;
}

/** In a pod (kubernetes.io, "Accessing the API from within a Pod"). */
const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const PATIENCE = 30_000;
/** Characters. An object in etcd has 1.5 MB at the most. */
const LONGEST_LINE = 64 << 20;

export class ApiConnection {
  readonly #options: ConnectionOptions;
  #config: Promise<KubeConfig>;
  /** How often it was loaded: of many requests that fail for the same old token only one loads. */
  #loads = 0;

  /** Loads the library, which is an optional dependency. Rejects when there is no configuration to be found. */
  static async open(options: ConnectionOptions): Promise<ApiConnection> {
    const connection = new ApiConnection(options);
    await connection.#config;
    return connection;
  }

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#config = load(options);
  }

  /** The answer's JSON. Rejects with ApiError for what the server refuses, and with others where there is no answer. */
  async request(request: ApiRequest): Promise<unknown> {
    return await this.#authenticated(async () => {
      const response = await this.#send(request, PATIENCE);
      return parseJson(nameOf(request), await text(response), request.exact ? parseExactJson : JSON.parse);
    });
  }

  /** Lines as they come. Resolves when the server ends it; what cuts it off rejects, and so does silence. */
  async stream(request: ApiRequest, { silence, onOpen, onLine }: Stream): Promise<void> {
    const response = await this.#authenticated(() => this.#send(request, silence));
    onOpen();
    const decoder = new StringDecoder('utf8');
    // of a line that is not whole; joined once, as joining for each piece takes time by the square
    let parts: string[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const [first, ...more] = decoder.write(chunk).split('\n') as [string, ...string[]];
      parts.push(first);
      length += first.length;
      for (const next of more) {
        const line = parts.join('');
        if (line !== '') onLine(line);
        parts = [next];
        length = next.length;
      }
      if (length > LONGEST_LINE) throw new Error(`${nameOf(request)}: a line of more than ${LONGEST_LINE} characters`);
    }
  }

  /**
   * Once more with all read anew, if the server does not know us: a token expired, a kubeconfig was replaced. Where there is no answer at all the next
   * request reads it anew: it may say that the server is elsewhere by now, or has another certificate.
   */
  async #authenticated<T>(work: () => Promise<T>): Promise<T> {
    const loads = this.#loads;
    try {
      return await work();
    } catch (error) {
      const status = error instanceof ApiError ? error.status : undefined;
      if (status !== undefined && status !== 401) throw error;
      if (loads === this.#loads) this.#reload();
      if (status === undefined) throw error;
      return await work();
    }
  }

  /** What is half-written, or gone, is read when it is whole: until then what there was is all there is. */
  #reload(): void {
    this.#loads++;
    const old = this.#config;
    this.#config = load(this.#options).catch(() => old);
  }

  /** Resolves with an answer of status 2xx, of which nothing is read yet. */
  async #send(request: ApiRequest, usual: number): Promise<IncomingMessage> {
    const patience = Math.min(usual, this.#options.patience ?? usual);
    const config = await this.#config;
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) throw new Error('the kubeconfig has no cluster for its current-context');
    const url = new URL(server.replace(/\/$/, '') + request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const body = request.body === undefined ? undefined : exactJson(request.body);
    const options: RequestOptions = {
      method: request.method,
      headers: {
        accept: 'application/json',
        'user-agent': 'wireguard-ts',
        ...(body !== undefined && {
          'content-type': request.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
          'content-length': Buffer.byteLength(body),
        }),
      },
      // of the socket: no byte in either direction, in the connecting too
      timeout: patience,
      ...(request.signal && { signal: request.signal }),
    };
    await config.applyToHTTPSOptions(options);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const sent = send(url, options, resolve);
      sent.on('timeout', () =>
        sent.destroy(new Error(`${nameOf(request)}: nothing heard from ${url.host} for ${patience / 1000} s`)),
      );
      sent.on('error', reject);
      sent.end(body);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw apiError(nameOf(request), status, await text(response), response.headers['retry-after'], Date.now());
  }
}

async function load({ kubeconfig, env, root = '' }: ConnectionOptions): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const home = join(homedir(), '.kube', 'config');
  try {
    if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
    else if (env['KUBECONFIG'])
      for (const [i, file] of env['KUBECONFIG'].split(delimiter).filter(Boolean).entries()) {
        const more = i === 0 ? config : new KubeConfig();
        more.loadFromFile(file);
        if (i > 0) config.mergeConfig(more, true);
      }
    else if (env['KUBERNETES_SERVICE_HOST'] && existsSync(root + TOKEN)) config.loadFromCluster(root);
    else if (existsSync(home)) config.loadFromFile(home);
    else throw new Error(`there is no ${home}, KUBECONFIG is not set, and this is no pod with a service account`);
  } catch (error) {
    // the library does not look whether there is anything in a file
    const isEmpty = error instanceof TypeError;
    const why = isEmpty ? `${kubeconfig ?? env['KUBECONFIG'] ?? home} is no kubeconfig` : (error as Error).message;
    throw new Error(`no way to the cluster is known: ${why}`);
  }
  if (!config.getCurrentCluster())
    throw new Error(
      `the kubeconfig has no cluster for its current-context ${JSON.stringify(config.getCurrentContext())}`,
    );
  return config;
}

async function text(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function nameOf({ method, path }: ApiRequest): string {
  return `${method} ${path}`;
}
