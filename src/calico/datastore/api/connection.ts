/**
 * Sends requests to an API server. KubeConfig of @kubernetes/client-node supplies the address and
 * the credentials, from a kubeconfig or a pod's service account. These files may change.
 * Certificates and tokens are therefore reread for each connection, and the whole configuration
 * after a 401 or a request without an answer.
 *
 * The library's own client is not used: it does not report Retry-After, and does not detect a
 * silent connection.
 */
import { existsSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import type { KubeConfig } from '@kubernetes/client-node';
import { exactJson, parseExactJson } from '../parse/exact-json.ts';
import { ListSplitter } from '../parse/list-splitter.ts';
import { ApiError, apiError, parseJson } from './error.ts';

export interface ConnectionOptions {
  /**
   * Path of a kubeconfig. Default: KUBECONFIG, then the pod's service account, then ~/.kube/config.
   */
  readonly kubeconfig?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Longest time without a received byte, in milliseconds. Default: 30,000 for requests; streams
   * set their own.
   */
  readonly idleTimeoutMs?: number;
  /** Prepended to the paths of a pod's service account. */
  readonly root?: string;
  /** Called with the address that a connection reached: that of the server, or of a Service. */
  readonly onServerAddress?: (address: string) => void;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with `/api` or `/apis`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /**
   * Keeps the numbers of the answer exact (exact-json.ts). Set it for objects that are written
   * back.
   */
  readonly exact?: boolean;
  /** The kind of a PATCH. Default: `merge`. */
  readonly patch?: keyof typeof PATCH_TYPES;
  /** Lists only the metadata of objects, which is a small part of a Node. */
  readonly metadataOnly?: boolean;
  readonly signal?: AbortSignal;
}

export interface Stream {
  /** Ends the stream after this many milliseconds without a received byte. */
  readonly idleMs: number;
  /** Called when the server has accepted the request. */
  readonly onOpen: () => void;
  /** An error thrown here ends the stream. */
  readonly onLine: (line: string) => void;
}

/** The content types of a PATCH. JSON is YAML, so the body of server-side apply is JSON too. */
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** The token of a pod's service account (kubernetes.io, "Accessing the API from within a Pod"). */
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const ANSWER_TIMEOUT_MS = 30_000;
/** A busy server begins to send a long list late, and gives up after a minute. */
const LIST_TIMEOUT_MS = 75_000;
/** Upper bound of an answer in bytes: ten objects of the largest size that etcd stores. */
const LONGEST_ANSWER_BYTES = 24 << 20;
/** Far above the size of an object, which etcd limits to 1.5 MB. */
const LONGEST_LINE_CHARS = 64 << 20;
/** Larger buffers would be mapped and cleared one by one. */
const UNZIPPED_CHUNK_BYTES = 64 << 10;

export class ApiConnection {
  readonly #options: ConnectionOptions;
  #config: Promise<KubeConfig>;
  /**
   * Number of reloads. When many requests fail because of the same expired token, only one of them
   * reloads.
   */
  #loads = 0;

  /**
   * Loads the optional dependency @kubernetes/client-node, and the configuration. Rejects if there
   * is no configuration.
   */
  static async open(options: ConnectionOptions): Promise<ApiConnection> {
    const connection = new ApiConnection(options);
    await connection.#config;
    return connection;
  }

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#config = load(options);
  }

  /**
   * Returns the parsed JSON of the answer. Rejects with ApiError if the server refuses the request,
   * and with another error if there is no answer.
   */
  async request(request: ApiRequest): Promise<unknown> {
    return await this.#authenticated(async () => {
      const response = await this.#send(request, ANSWER_TIMEOUT_MS);
      return parseJson(
        nameOf(request),
        await text(response, nameOf(request)),
        request.exact ? parseExactJson : JSON.parse,
      );
    });
  }

  /**
   * Passes on the items of a list as they arrive, and resolves with the list object without them.
   * Rejects like `request`.
   */
  async list(request: ApiRequest, onItem: (item: unknown) => void): Promise<unknown> {
    const name = nameOf(request);
    return await this.#authenticated(async () => {
      const response = await this.#send(request, LIST_TIMEOUT_MS);
      const splitter = new ListSplitter(item => onItem(parseJson(name, item)), LONGEST_LINE_CHARS);
      for await (const chunk of bodyOf(response)) splitter.push(chunk);
      return parseJson(name, splitter.end());
    });
  }

  /**
   * Passes on lines as they arrive. Resolves when the server ends the stream; rejects when the
   * connection breaks or is idle.
   */
  async stream(request: ApiRequest, { idleMs, onOpen, onLine }: Stream): Promise<void> {
    const response = await this.#authenticated(() => this.#send(request, idleMs, true));
    onOpen();
    const decoder = new StringDecoder('utf8');
    // Parts of an incomplete line. Join them only once: appending each one takes quadratic time.
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
      if (length > LONGEST_LINE_CHARS)
        throw new Error(`${nameOf(request)}: a line of more than ${LONGEST_LINE_CHARS} characters`);
    }
  }

  /**
   * Runs a request. After a 401, reloads the configuration and retries once: the token may have
   * expired, or the kubeconfig may have been replaced. Without any answer, reloads for the next
   * request: the server's address or certificate may have changed.
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

  /** Reloads the configuration; keeps the old one while the file is missing or incomplete. */
  #reload(): void {
    this.#loads++;
    const old = this.#config;
    this.#config = load(this.#options).catch(() => old);
  }

  /** Resolves with a response of status 2xx whose body is still unread. */
  async #send(request: ApiRequest, usualTimeoutMs: number, isStream = false): Promise<IncomingMessage> {
    const idleTimeoutMs = Math.min(usualTimeoutMs, this.#options.idleTimeoutMs ?? usualTimeoutMs);
    const config = await this.#config;
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) throw new Error('the kubeconfig has no cluster for its current-context');
    const url = new URL(server.replace(/\/$/, '') + request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const body = request.body === undefined ? undefined : exactJson(request.body);
    const options: RequestOptions = {
      method: request.method,
      headers: {
        accept: request.metadataOnly ? `${METADATA},application/json` : 'application/json',
        // The server compresses long answers to a tenth. Watches are never compressed, because a
        // proxy might hold back what it compresses.
        ...(!isStream && { 'accept-encoding': 'gzip' }),
        'user-agent': 'wireguard-ts',
        ...(body !== undefined && {
          'content-type': request.method === 'PATCH' ? PATCH_TYPES[request.patch ?? 'merge'] : 'application/json',
          'content-length': Buffer.byteLength(body),
        }),
      },
      // The socket's idle timeout, which also covers connecting.
      timeout: idleTimeoutMs,
      ...(request.signal && { signal: request.signal }),
    };
    await config.applyToHTTPSOptions(options);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const sent = send(url, options, resolve);
      sent.on('timeout', () =>
        sent.destroy(new Error(`${nameOf(request)}: nothing received from ${url.host} for ${idleTimeoutMs / 1000} s`)),
      );
      sent.on('error', reject);
      sent.end(body);
    });
    const status = response.statusCode ?? 0;
    const { remoteAddress } = response.socket;
    if (status >= 200 && status < 300) {
      if (remoteAddress !== undefined) this.#options.onServerAddress?.(remoteAddress);
      return response;
    }
    throw apiError(
      nameOf(request),
      status,
      await text(response, nameOf(request)),
      response.headers['retry-after'],
      Date.now(),
    );
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
    else if (env['KUBERNETES_SERVICE_HOST'] && existsSync(root + TOKEN_FILE)) config.loadFromCluster(root);
    else if (existsSync(home)) config.loadFromFile(home);
    else throw new Error(`${home} does not exist, KUBECONFIG is not set, and this is not a pod with a service account`);
  } catch (error) {
    // The library throws a TypeError for an empty file.
    const isEmpty = error instanceof TypeError;
    const why = isEmpty ? `${kubeconfig ?? env['KUBECONFIG'] ?? home} is not a kubeconfig` : (error as Error).message;
    throw new Error(`cannot find the cluster: ${why}`);
  }
  if (!config.getCurrentCluster())
    throw new Error(
      `the kubeconfig has no cluster for its current-context ${JSON.stringify(config.getCurrentContext())}`,
    );
  return config;
}

/** Returns the body of an answer, uncompressed. */
function bodyOf(response: IncomingMessage): AsyncIterable<Buffer> {
  if (response.headers['content-encoding'] !== 'gzip') return response;
  // The pipeline passes errors on to its last stream, whose reader handles them.
  return pipeline(response, createGunzip({ chunkSize: UNZIPPED_CHUNK_BYTES }), () => undefined);
}

/** Reads an answer. @throws Error if it is too long; the connection is then closed */
async function text(response: IncomingMessage, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of bodyOf(response)) {
    chunks.push(chunk);
    length += chunk.length;
    // Leaving the loop destroys the response.
    if (length > LONGEST_ANSWER_BYTES) throw new Error(`${what}: an answer of more than ${length} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function nameOf({ method, path }: ApiRequest): string {
  return `${method} ${path}`;
}
