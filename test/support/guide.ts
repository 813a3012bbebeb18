/**
 * The guides in docs/en and docs/zh as tests read them: their commands with markers, headings and
 * links.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

/** A fenced block of `sh`. */
export interface Commands {
  readonly text: string;
  /** The marker above the block: `<!-- run: name of a test -->` or `<!-- not run: why -->`. */
  readonly marker?: { readonly kind: 'run' | 'not run'; readonly says: string };
  readonly line: number;
}

export interface Guide {
  readonly name: string;
  readonly text: string;
  readonly commands: readonly Commands[];
  /** Anchors as GitHub derives them from the headings. */
  readonly anchors: ReadonlySet<string>;
  /** Link targets, including images. */
  readonly links: readonly string[];
}

export function guides(language: 'en' | 'zh'): Guide[] {
  const folder = join(REPOSITORY, 'docs', language);
  return readdirSync(folder)
    .filter(name => name.endsWith('.md'))
    .sort()
    .map(name => parse(name, readFileSync(join(folder, name), 'utf8')));
}

/** Parses a page by its path in the repository. */
export function page(path: string): Guide {
  return parse(path, readFileSync(join(REPOSITORY, path), 'utf8'));
}

export function parse(name: string, text: string): Guide {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  return {
    name,
    text,
    commands: commandsOf(text),
    anchors: new Set([...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading!))),
    links: [...prose.replace(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!),
  };
}

/** Returns the contents of the fenced blocks of a language, in order. */
export function fences(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, opened]) => opened === language)
    .map(([, , content]) => content!);
}

function commandsOf(text: string): Commands[] {
  const lines = text.split('\n');
  const found: Commands[] = [];
  let open: { language: string; line: number } | undefined;
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith('```')) continue;
    if (!open) {
      open = { language: line.slice(3).trim(), line: index };
      continue;
    }
    if (/^(sh|bash|shell|console|)$/.test(open.language)) {
      const [, kind, says] = /^<!-- (run|not run): (.+) -->$/.exec(lines[open.line - 1] ?? '') ?? [];
      found.push({
        text: lines.slice(open.line + 1, index).join('\n'),
        ...(kind && says && { marker: { kind: kind as 'run' | 'not run', says } }),
        line: open.line + 1,
      });
    }
    open = undefined;
  }
  return found;
}

function anchor(heading: string): string {
  return heading
    .replace(/`/g, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}
