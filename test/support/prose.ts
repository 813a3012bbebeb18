/**
 * Finds prose that a reader stumbles over: words that stand for German grammar in English, and
 * lines that are too wide to read. CONTRIBUTING.md has the rules; test/rules/prose.test.ts applies
 * them.
 */

/** A line that breaks a rule: `text` is what a report shows. */
export interface ProseFault {
  readonly line: number;
  readonly text: string;
}

/** Columns of a comment. Code may be wider (biome.json). */
const COMMENT_COLUMNS = 100;
/** Columns of a line of Markdown. */
const MARKDOWN_COLUMNS = 120;

const BANNED =
  /(?<![A-Za-z])(who(m|so)?ever|somebody|nobody|(is|are|was|were|be|been) none|(is|are|was|were|be|been|being) (told(?! apart)|said)|shall|of whom|left away|meanwhile)(?![a-z])/i;
/** In the middle of a name in camel case. */
const BANNED_IN_NAME = /[a-z](Somebody|Nobody|Whoever|Shall|Meanwhile)(?![a-z])/;

const COMMENT = /^\s*(\/\*|\*(?!\w)|\/\/|#(?![!\w]))/;
const TRAILING = /^[^'"`]*\s\/\/ /;
const FENCE = /^\s*(```|~~~)/;
/** What cannot be wrapped: a table, a heading, a definition, a picture, a line of HTML. */
const UNBREAKABLE = /^\s*(\||#|<|\[[^\]]+\]: |!?\[[^\]]*\]\([^)]*\)$)/;
/** Columns that are aligned, or lines that are drawn: a diagram or a listing in a comment. */
const DRAWN = /\S {3,}\S|[─│┌┐└┘├┤]|-{4,}|={4,}/;

/**
 * Finds banned words, also those that a line break separates.
 * @param text a whole file: names, strings and comments count alike, code spans (`nobody`) do not
 */
export function bannedWords(text: string): ProseFault[] {
  const lines = text.replaceAll(/(?<!`)`[a-z ]+`(?!`)/gi, '``').split('\n');
  return lines.flatMap((line, index) => {
    const next = (lines[index + 1] ?? '').replace(/^\s*(\/\/|\*|#|>)?\s*/, '');
    const before = line.trimEnd().length;
    const match = BANNED.exec(`${line.trimEnd()} ${next}`);
    const name = BANNED_IN_NAME.exec(line);
    return (match && match.index < before) || name ? [{ line: index + 1, text: line.trim() }] : [];
  });
}

/**
 * Finds comments beyond {@link COMMENT_COLUMNS}. A line that holds one long word, such as a link,
 * is allowed.
 */
export function wideComments(text: string): ProseFault[] {
  return text.split('\n').flatMap((line, index) => {
    if (columns(line) <= COMMENT_COLUMNS || !(COMMENT.test(line) || TRAILING.test(line))) return [];
    const words = line.replace(/^\s*(\/\*\*?|\*|\/\/|#)\s*/, '').trim();
    return !words.includes(' ') || DRAWN.test(words) ? [] : [{ line: index + 1, text: words }];
  });
}

/** Finds lines of Markdown beyond {@link MARKDOWN_COLUMNS}, outside of fences and tables. */
export function wideMarkdown(text: string): ProseFault[] {
  let isFenced = false;
  return text.split('\n').flatMap((line, index) => {
    if (FENCE.test(line)) isFenced = !isFenced;
    if (isFenced || columns(line) <= MARKDOWN_COLUMNS || UNBREAKABLE.test(line)) return [];
    return [{ line: index + 1, text: line.trim() }];
  });
}

/** Counts the columns of a terminal: a Chinese character takes two. */
function columns(line: string): number {
  let count = 0;
  for (const character of line)
    count += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/.test(character) ? 2 : 1;
  return count;
}
