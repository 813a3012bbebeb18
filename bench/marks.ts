/** Reads and replaces the generated part of a page, which two marks enclose. */

const BEGIN = '<!-- bench -->';
const END = '<!-- /bench -->';

/**
 * Returns the text with new content between the marks. @throws Error if the text lacks the marks
 */
export function between(text: string, content: string, name: string): string {
  const [begin, end] = placeIn(text, name);
  return `${text.slice(0, begin)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}

/** Returns the content between the marks. @throws Error if the text lacks the marks */
export function contentIn(text: string, name: string): string {
  return text.slice(...placeIn(text, name)).trim();
}

function placeIn(text: string, name: string): [begin: number, end: number] {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${name} has no ${BEGIN} and ${END}, which must enclose the table`);
  return [begin + BEGIN.length, end];
}
