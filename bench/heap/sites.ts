/** Extracts allocation sites from a profile of V8's sampling heap profiler. */
import type { HeapProfiler } from 'node:inspector';

export interface Site {
  readonly name: string;
  readonly bytes: number;
}

/** Returns the bytes allocated per function and line, largest first. */
export function allocations({ head }: HeapProfiler.SamplingHeapProfile): Site[] {
  const sums = new Map<string, number>();
  const waiting = [head];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    const { functionName, url, lineNumber } = node.callFrame;
    const file = url.slice(url.lastIndexOf('/') + 1);
    const name =
      file === '' ? functionName || '(native)' : `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`;
    if (node.selfSize > 0) sums.set(name, (sums.get(name) ?? 0) + node.selfSize);
    waiting.push(...node.children);
  }
  return [...sums].map(([name, bytes]) => ({ name, bytes })).sort((x, y) => y.bytes - x.bytes);
}
