/**
 * The keys of a configuration file, and the errors for lines without a valid key: they quote the
 * line, list the valid keys and suggest the nearest one.
 */
import { nearest } from '../base/nearest.ts';
import { ConfigError, quote, quoteKey } from './errors.ts';
import { trimSpace, withoutSpace } from './lines.ts';

export type SectionName = 'Interface' | 'Peer';
/** The program that the file is for: `wg setconf`, or wg-quick, which knows more keys. */
export type ConfFormat = 'wg' | 'quick';

const WG_KEYS = ['PrivateKey', 'ListenPort', 'FwMark'];
const QUICK_KEYS = ['Address', 'DNS', 'MTU', 'Table', 'SaveConfig', 'PreUp', 'PostUp', 'PreDown', 'PostDown'];
const PEER_KEYS = ['PublicKey', 'PresharedKey', 'AllowedIPs', 'Endpoint', 'PersistentKeepalive'];
const SECTIONS: readonly SectionName[] = ['Interface', 'Peer'];

/** @param key as written in the file */
export function unknownKey(key: string, section: SectionName, format: ConfFormat): ConfigError {
  return new ConfigError('unknown-key', unknownKeyText(key, section, format));
}

function unknownKeyText(key: string, section: SectionName, format: ConfFormat): string {
  const other = section === 'Peer' ? 'Interface' : 'Peer';
  const isKeyOfOther = keysOf(other, 'quick').some(each => sameWord(each, key));
  if (isKeyOfOther)
    return `${quoteKey(key)} is not a key of [${section}] but of [${other}]: move it below ${lineOf(other)}`;
  const isQuickKey = section === 'Interface' && QUICK_KEYS.some(each => sameWord(each, key));
  const hint = isQuickKey ? " (it is wg-quick's: use `wgts up', or `wgts strip' first)" : '';
  const meant = isQuickKey ? undefined : nearest(key, keysOf(section, format));
  const question = meant === undefined ? '' : ` Did you mean ${meant}?`;
  const more = section === 'Interface' && format === 'wg' ? `; for \`wgts up\` also ${listed(QUICK_KEYS)}` : '';
  return `${quoteKey(key)} is not a key of [${section}]${hint}.${question} Its keys are ${listed(keysOf(section, format))}${more}`;
}

/** @param line including its brackets */
export function unknownSection(line: string): ConfigError {
  const meant = nearest(line.replace(/[^A-Za-z]/g, ''), SECTIONS);
  const question = meant === undefined ? '' : ` Did you mean [${meant}]?`;
  return new ConfigError(
    'unknown-key',
    `${quote(line)} is not a section.${question} Sections are [Interface] and [Peer], each on a line of its own`,
    { value: line },
  );
}

export function beforeSections(line: string): ConfigError {
  const owner = SECTIONS.find(section => keysOf(section, 'quick').some(key => sameWord(key, line.split('=')[0]!)));
  const where = owner ? `put it below ${lineOf(owner)}` : 'begin with [Interface] or [Peer]';
  return new ConfigError('syntax', `${quoteKey(line)} comes before any section: ${where}`);
}

/**
 * Returns the error for a line that is not `Key = Value`.
 * @param raw the line with its spaces, without its comment
 */
export function notKeyValue(raw: string, section: SectionName): ConfigError {
  const content = trimSpace(raw);
  const line = withoutSpace(content);
  const key = keysOf(section, 'quick').find(each => sameWord(each, content.slice(0, each.length)));
  const rest = key === undefined ? '' : content.slice(key.length);
  if (key !== undefined && /^[^A-Za-z0-9=]/.test(rest) && !/^\s*=/.test(rest))
    return new ConfigError(
      'syntax',
      `there is no \`=' between ${key} and its value: write ${key} = ${key.endsWith('Key') ? 'KEY' : 'VALUE'}`,
    );
  if (/^[A-Za-z0-9+/]{43}=$/.test(line))
    return new ConfigError('syntax', 'this is a key without a name: write PrivateKey = or PublicKey = before it');
  const equals = line.indexOf('=');
  // wg, too, refuses a line without a value, even for lists, where an empty value would make sense
  if (equals >= 0)
    return new ConfigError('syntax', `${quoteKey(line)} has no value: give it one or leave the line out`);
  const isComment = /^(;|\/\/|--)/.test(line);
  const hint = isComment ? 'a comment begins with #, not with ; or //' : 'a comment begins with #';
  return new ConfigError('syntax', `${quoteKey(line)} is not of the form Key = Value; ${hint}`);
}

function keysOf(section: SectionName, format: ConfFormat): readonly string[] {
  if (section === 'Peer') return PEER_KEYS;
  return format === 'wg' ? WG_KEYS : [...WG_KEYS, ...QUICK_KEYS];
}

function lineOf(section: SectionName): string {
  return section === 'Interface' ? 'an [Interface] line' : 'a [Peer] line';
}

function sameWord(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
