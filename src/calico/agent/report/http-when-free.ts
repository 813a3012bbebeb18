/**
 * Serves HTTP as soon as the address is free. The agents of a node share it (hostNetwork). An older
 * version does not give it up before it ends, and its successor must not wait for it: the kubelet
 * ends the old pod only once the new one is ready. Nor may any other program on the node keep the
 * agent from its work, because every user can take the address.
 */
import { get } from 'node:http';
import { type HttpOptions, serveHttp } from './http.ts';

const RETRY_MS = 250;
const ANSWER_TIMEOUT_MS = 1_000;
const LONGEST_ANSWER = 1 << 20;

/**
 * Starts the server, now or when another program has freed the address.
 * @returns the function that ends it
 * @throws Error with `code`, such as EADDRNOTAVAIL
 */
export async function serveHttpWhenFree(options: HttpOptions, warn: (text: string) => void): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let close = (): void => clearTimeout(timer);
  let isClosed = false;
  let warned = false;
  const attempt = async (): Promise<void> => {
    try {
      const server = await serveHttp(options);
      if (isClosed) server.close();
      else close = () => server.close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (!warned) {
        const text = await whoHas(options);
        if (text !== undefined) warn(text);
        warned = text !== undefined;
      }
      if (!isClosed) timer = setTimeout(() => void attempt().catch(retryFailed), RETRY_MS);
    }
  };
  const retryFailed = (error: Error): void => warn(error.message);
  await attempt();
  return () => {
    isClosed = true;
    close();
  };
}

/** What a warning says of the program that has the address. */
const HOLDERS = {
  agent: [
    'another agent answers',
    'probably an older version that is about to end; this agent answers there once it has ended',
  ],
  other: [
    'a program that is no agent listens',
    'so probes and metrics of this agent fail until it ends; --http takes another address, or off',
  ],
} as const;

/** Returns what to say of the program that has the address; undefined if none has it any more. */
async function whoHas(options: HttpOptions): Promise<string | undefined> {
  const holder = await holderOf(options);
  if (holder === 'free') return undefined;
  const [who, consequence] = HOLDERS[holder];
  return `${who} at http://${options.host}:${options.port}, ${consequence}`;
}

/**
 * Asks who uses the address: an agent answers /readyz with its phase. The whole answer has one time
 * limit, because any user may have taken the address, and this agent begins its work afterwards.
 */
function holderOf({ host, port }: HttpOptions): Promise<'agent' | 'other' | 'free'> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  return new Promise(resolve => {
    const request = get({ host, port, path: '/readyz', signal, agent: false }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > LONGEST_ANSWER) request.destroy();
      });
      response.on('end', () => resolve(isAgentAnswer(text) ? 'agent' : 'other'));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? 'free' : 'other'));
    request.on('close', () => resolve('other'));
  });
}

function isAgentAnswer(text: string): boolean {
  try {
    const { ready, phase } = Object(JSON.parse(text)) as Readonly<Record<string, unknown>>;
    return typeof ready === 'boolean' && typeof phase === 'string';
  } catch {
    return false;
  }
}
