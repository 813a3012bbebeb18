/** The part of a page that is generated: what stands between two marks. */

const BEGIN = '<!-- bench -->';
const END = '<!-- /bench -->';

/** Returns the text with other content between the marks. @throws Error if the text has no marks */
export function between(text: string, content: string, name: string): string {
  const [begin, end] = placeIn(text, name);
  return `${text.slice(0, begin)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}

/** Returns what stands between the marks. @throws Error if the text has no marks */
export function contentIn(text: string, name: string): string {
  return text.slice(...placeIn(text, name)).trim();
}

function placeIn(text: string, name: string): [begin: number, end: number] {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${name} has no ${BEGIN} and ${END}, between which the table belongs`);
  return [begin + BEGIN.length, end];
}
