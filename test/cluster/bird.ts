/**
 * Imitates BIRD: sets routes in the main table to the blocks of other nodes, and blackholes for
 * unused addresses of a node's own blocks. Unencrypted traffic takes these routes, so encrypted pod
 * traffic must not.
 */
import type { Family } from '../../src/base/family.ts';
import { run } from '../netns/command.ts';
import type { Namespace } from '../netns/lab.ts';
import { nodeAddress } from './objects.ts';

export interface Speaker {
  readonly index: number;
  readonly namespace: Namespace;
}

export class Bird {
  /** The owner of each prefix. */
  readonly #owners = new Map<string, number>();

  lead(prefix: string, owner: number): void {
    this.#owners.set(prefix, owner);
  }

  forget(prefix: string): void {
    this.#owners.delete(prefix);
  }

  forgetNode(index: number): void {
    for (const [prefix, owner] of this.#owners) if (owner === index) this.#owners.delete(prefix);
  }

  /** Announces a prefix to all nodes. */
  async announce(speakers: Iterable<Speaker>): Promise<void> {
    await Promise.all([...speakers].flatMap(speaker => ([4, 6] as const).map(family => this.#tell(speaker, family))));
  }

  async #tell({ index, namespace }: Speaker, family: Family): Promise<void> {
    const length = family === 4 ? 32 : 128;
    const { stdout } = await run(['ip', '-n', namespace.name, `-${family}`, 'route', 'show', 'proto', 'bird']);
    const there = stdout.split('\n').flatMap(line => /^(?:blackhole )?(\S+)/.exec(line)?.[1] ?? []);
    const whole = there.map(prefix => (prefix.includes('/') ? prefix : `${prefix}/${length}`));
    const wanted = new Map<string, string>();
    for (const [prefix, owner] of this.#owners) {
      if (prefix.includes(':') !== (family === 6)) continue;
      if (owner !== index) wanted.set(prefix, `${prefix} via ${nodeAddress(owner, family)}`);
      // A single address has its own route to its pod.
      else if (!prefix.endsWith(`/${length}`)) wanted.set(prefix, `blackhole ${prefix}`);
    }
    const lines = [
      ...whole.filter(prefix => !wanted.has(prefix)).map(prefix => `route del ${prefix} proto bird`),
      ...[...wanted.values()].map(route => `route replace ${route} proto bird`),
    ];
    if (lines.length > 0)
      await run(['ip', '-n', namespace.name, `-${family}`, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}
