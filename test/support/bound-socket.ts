/** UNIX sockets that have a name and accept nothing. Only Node's own binding makes them. */

interface PipeHandle {
  bind(name: string): number;
  listen(backlog: number): number;
  close(): void;
}
interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly constants: { readonly SERVER: number };
}

/**
 * Takes a name without listening on it, or with a queue of connections of this length.
 * @returns the function that frees it
 */
export function bindOnly(name: string, queue?: number): () => void {
  const { binding } = process as unknown as { binding(name: 'pipe_wrap'): PipeBinding };
  const { Pipe, constants } = binding.call(process, 'pipe_wrap');
  const pipe = new Pipe(constants.SERVER);
  const code = pipe.bind(name) || (queue === undefined ? 0 : pipe.listen(queue));
  if (code !== 0) throw new Error(`bind failed with ${code}`);
  return () => pipe.close();
}
