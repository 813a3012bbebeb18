/** Formats the SVG shapes of the plots. */

/** Escapes text for use between tags and in quoted attributes. */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export type Anchor = 'start' | 'middle' | 'end';

export function label(x: number, y: number, text: string, kind: string, anchor: Anchor = 'start'): string {
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}" class="${kind}"${where}>${escapeText(text)}</text>`;
}

export function bar(x: number, y: number, width: number, height: number, color: string): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${height}" rx="1.5" fill="${color}"/>`;
}

/** Returns a complete SVG document. @param style CSS */
export function picture(
  width: number,
  height: number,
  title: string,
  style: string,
  shapes: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeText(title)}</title>`,
    `<style>${style}</style>`,
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
