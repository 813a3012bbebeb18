/**
 * Files that are wrong, or nearly, in [Interface] or as a whole. Each answer was reviewed as a
 * newcomer would read it.
 */
import type { WrongFile } from './wrong-peers.ts';

const K = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrUM=';
const P = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
const Q = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
const own = `[Interface]\nPrivateKey = ${K}\n`;
const FINE = '';
const MAY_INTERFACE =
  'Its keys are PrivateKey, ListenPort, FwMark, Address, DNS, MTU, Table, SaveConfig, PreUp, PostUp, PreDown and PostDown';
const SECTIONS = 'Sections are [Interface] and [Peer], each on a line of its own';
const KEY_FORM = 'a key is 44 characters of base64 that end in "="';
const ADDRESS_FORM = 'write an address with its prefix length, such as 10.0.0.2/24 or fd00::2/64';
const MTU_FORM = 'an MTU is a number from 68 to 65535';
const PORT_FORM = 'a port is a number from 0 to 65535, where 0 lets the system choose';
const TABLE_FORM = 'it is auto, off, a number, or a name from /etc/iproute2/rt_tables';
const HIDDEN = 'a text of 44 characters with what looks like a key';
const ODD = 'remove it, or type an ordinary space';
const I = (line: string) => `${own}${line}\n`;
const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');

export const WRONG_INTERFACES: readonly WrongFile[] = [
  [
    'Adress',
    I('Adress = 10.0.0.1/24'),
    `wg0.conf:3: \`Adress' is not a key of [Interface]. Did you mean Address? ${MAY_INTERFACE}`,
  ],
  [
    'Adresse',
    I('Adresse = 10.0.0.1/24'),
    `wg0.conf:3: \`Adresse' is not a key of [Interface]. Did you mean Address? ${MAY_INTERFACE}`,
  ],
  ['IP', I('IP = 10.0.0.1/24'), `wg0.conf:3: \`IP' is not a key of [Interface]. ${MAY_INTERFACE}`],
  ['MTUs', I('MUT = 1420'), `wg0.conf:3: \`MUT' is not a key of [Interface]. Did you mean MTU? ${MAY_INTERFACE}`],
  ['DSN', I('DSN = 1.1.1.1'), `wg0.conf:3: \`DSN' is not a key of [Interface]. Did you mean DNS? ${MAY_INTERFACE}`],
  [
    'Private key',
    `[Interface]\nPrivatKey = ${K}\n`,
    `wg0.conf:2: \`PrivatKey' is not a key of [Interface]. Did you mean PrivateKey? ${MAY_INTERFACE}`,
  ],
  [
    'Endpoint in Interface',
    I('Endpoint = 192.0.2.1:51820'),
    `wg0.conf:3: \`Endpoint' is not a key of [Interface] but of [Peer]: move it below a [Peer] line`,
  ],
  [
    'AllowedIPs in Interface',
    I('AllowedIPs = 0.0.0.0/0'),
    `wg0.conf:3: \`AllowedIPs' is not a key of [Interface] but of [Peer]: move it below a [Peer] line`,
  ],
  [
    'PublicKey in Interface',
    I(`PublicKey = ${P}`),
    `wg0.conf:3: \`PublicKey' is not a key of [Interface] but of [Peer]: move it below a [Peer] line`,
  ],
  [
    '[Interfaces]',
    `[Interfaces]\nPrivateKey = ${K}\n`,
    `wg0.conf:1: \`[Interfaces]' is not a section. Did you mean [Interface]? ${SECTIONS}`,
  ],
  ['[Server]', `${own}[Server]\n`, `wg0.conf:3: \`[Server]' is not a section. ${SECTIONS}`],
  [
    '[Interface',
    `[Interface\nPrivateKey = ${K}\n`,
    `wg0.conf:1: \`[Interface' is not a section. Did you mean [Interface]? ${SECTIONS}`,
  ],
  [
    'no section',
    `PrivateKey = ${K}\n`,
    `wg0.conf:1: \`PrivateKey' comes before any section: put it below an [Interface] line`,
  ],
  [
    'no section peer',
    `PublicKey = ${P}\n`,
    `wg0.conf:1: \`PublicKey' comes before any section: put it below a [Peer] line`,
  ],
  ['no section other', `hello\n`, `wg0.conf:1: \`hello' comes before any section: begin with [Interface] or [Peer]`],
  ['empty', '', 'wg0.conf: there is no [Interface] section, which a file for `wgts up` begins with'],
  [
    'only comments',
    '# nothing\n\n',
    'wg0.conf: there is no [Interface] section, which a file for `wgts up` begins with',
  ],
  ['BOM is fine', `\ufeff${own}`, FINE],
  ['CRLF is fine', own.replaceAll('\n', '\r\n'), FINE],
  ['tabs are fine', `[Interface]\n\tPrivateKey\t=\t${K}\t\n`, FINE],
  [
    'CR alone',
    own.replaceAll('\n', '\r'),
    `wg0.conf: the lines of this file end in CR (\\r) alone: convert it with \`tr "\\r" "\\n" < wg0.conf > new.conf'`,
  ],
  [
    'UTF-16',
    utf16(own),
    `wg0.conf: this file is UTF-16, and must be UTF-8: convert it with \`iconv -f UTF-16 -t UTF-8 wg0.conf > new.conf'`,
  ],
  [
    'UTF-16BE',
    utf16(own).swap16(),
    `wg0.conf: this file is UTF-16, and must be UTF-8: convert it with \`iconv -f UTF-16 -t UTF-8 wg0.conf > new.conf'`,
  ],
  [
    'UTF-16LE no BOM',
    Buffer.from(own, 'utf16le'),
    `wg0.conf: this file is UTF-16, and must be UTF-8: convert it with \`iconv -f UTF-16LE -t UTF-8 wg0.conf > new.conf'`,
  ],
  [
    'NUL',
    I('MTU = 14\0 20'),
    `wg0.conf:3: MTU \`14\\x00 20': ${MTU_FORM}; in \`MTU' there is a NUL byte (is the file UTF-16?): ${ODD}`,
  ],
  [
    'NUL in a hook',
    I('PostUp = echo \0 x'),
    `wg0.conf:3: PostUp \`echo \\x00 x': a command has no NUL bytes; in \`PostUp' there is a NUL byte (is the file UTF-16?): ${ODD}`,
  ],
  [
    'no-break space',
    I('MTU =\u00a01420'),
    `wg0.conf:3: MTU \`\\xa01420': ${MTU_FORM}; in \`MTU' there is an invisible character (U+00A0): ${ODD}`,
  ],
  [
    'zero width',
    I('Add\u200bress = 10.0.0.1/24'),
    `wg0.conf:3: \`Add\\x200bress' is not a key of [Interface]. Did you mean Address? ${MAY_INTERFACE}; in \`Add\\x200bress' there is an invisible character (U+200B): ${ODD}`,
  ],
  [
    'latin1 in a hook',
    Buffer.concat([Buffer.from(own), Buffer.from('PostUp = echo gr\xfc\xdfe\n', 'latin1')]),
    `wg0.conf:3: PostUp \`echo gr��e': it has bytes that are not UTF-8: convert the file, such as with iconv -f LATIN1 -t UTF-8`,
  ],
  ['control characters', I('Table = \x1b[31mred'), `wg0.conf:3: Table \`\\x1b[31mred': ${TABLE_FORM}`],
  [
    'quotes around a value',
    I('Address = "10.0.0.1/24"'),
    `wg0.conf:3: Address \`"10.0.0.1/24"': take the quotes away; ${ADDRESS_FORM}`,
  ],
  [
    'quotes around a key',
    `[Interface]\nPrivateKey = "${K}"\n`,
    `wg0.conf:2: PrivateKey of 46 characters is not a key: take the quotes away; ${KEY_FORM}`,
  ],
  ['comment after a value is fine', I('MTU = 1420 # comment'), FINE],
  [
    'semicolon comment',
    I('; comment'),
    `wg0.conf:3: \`;comment' is not of the form Key = Value; a comment begins with #, not with ; or //`,
  ],
  [
    'semicolon after a value',
    I('MTU = 1420 ; comment'),
    `wg0.conf:3: MTU \`1420 ; comment': neither ; nor // begins a comment, but # does; ${MTU_FORM}`,
  ],
  [
    '// comment',
    I('// comment'),
    `wg0.conf:3: \`//comment' is not of the form Key = Value; a comment begins with #, not with ; or //`,
  ],
  [
    'no =',
    I('Address 10.0.0.1/24'),
    `wg0.conf:3: there is no \`=' between Address and its value: write Address = VALUE`,
  ],
  [
    'colon',
    I('Address: 10.0.0.1/24'),
    `wg0.conf:3: there is no \`=' between Address and its value: write Address = VALUE`,
  ],
  [
    'no = at a key',
    `[Interface]\nPrivateKey ${K}\n`,
    `wg0.conf:2: there is no \`=' between PrivateKey and its value: write PrivateKey = KEY`,
  ],
  [
    'key only',
    `[Interface]\n${K}\n`,
    'wg0.conf:2: this is a key without a name: write PrivateKey = or PublicKey = before it',
  ],
  ['no value', I('ListenPort ='), `wg0.conf:3: \`ListenPort' has no value: give it one or leave the line out`],
  ['a word', I('hello'), `wg0.conf:3: \`hello' is not of the form Key = Value; a comment begins with #`],
  [
    'private key short',
    `[Interface]\nPrivateKey = ${K.slice(0, 40)}\n`,
    `wg0.conf:2: PrivateKey of 40 characters is not a key: ${KEY_FORM}`,
  ],
  [
    'private key no =',
    `[Interface]\nPrivateKey = ${K.slice(0, 43)}\n`,
    `wg0.conf:2: PrivateKey of 43 characters is not a key: its last character, "=", is missing; ${KEY_FORM}`,
  ],
  [
    'private key mistyped end',
    `[Interface]\nPrivateKey = ${K.slice(0, 42)}p=\n`,
    `wg0.conf:2: PrivateKey of 44 characters is not a key: it does not decode to 32 bytes, one character may be mistyped; ${KEY_FORM}`,
  ],
  [
    'private key hex',
    `[Interface]\nPrivateKey = ${Buffer.from(K, 'base64').toString('hex')}\n`,
    `wg0.conf:2: PrivateKey of 64 characters is not a key: it is hexadecimal (convert it: echo HEX | xxd -r -p | base64); ${KEY_FORM}`,
  ],
  [
    'private key url',
    `[Interface]\nPrivateKey = ${K.replaceAll('+', '-').replaceAll('/', '_')}\n`,
    `wg0.conf:2: PrivateKey of 44 characters is not a key: it is URL-safe base64 (write + for - and / for _); ${KEY_FORM}`,
  ],
  ['private key with a space is fine', `[Interface]\nPrivateKey = ${K.slice(0, 20)} ${K.slice(20)}\n`, FINE],
  [
    'private key file',
    `[Interface]\nPrivateKey = /etc/wireguard/private.key\n`,
    `wg0.conf:2: PrivateKey of 26 characters is not a key: a path does not work here: write the key itself, or PostUp = wg set %i private-key FILE; ${KEY_FORM}`,
  ],
  [
    'private key zero',
    `[Interface]\nPrivateKey = ${'A'.repeat(43)}=\n`,
    'warning: wg0.conf: PrivateKey is all zeros, which means no key (wgts genkey makes one)',
  ],
  [
    'private key unclamped',
    `[Interface]\nPrivateKey = ${Q}\n`,
    'warning: wg0.conf: PrivateKey is not of the form that genkey makes: is it a public or preshared key?',
  ],
  [
    'no private key',
    `[Interface]\nAddress = 10.0.0.1/24\n`,
    'warning: wg0.conf: there is no PrivateKey: without one the interface cannot reach a peer (wgts genkey makes one)',
  ],
  ['address is a key', I(`Address = ${K}`), `wg0.conf:3: Address ${HIDDEN}: ${ADDRESS_FORM}`],
  [
    'dns is a key',
    I(`DNS = ${K}`),
    `wg0.conf:3: DNS ${HIDDEN}: write addresses of name servers, and search domains, with commas or spaces between them`,
  ],
  ['table is a key', I(`Table = ${K}`), `wg0.conf:3: Table ${HIDDEN}: ${TABLE_FORM}`],
  [
    'address name',
    I('Address = vpn.example.com/24'),
    `wg0.conf:3: Address \`vpn.example.com/24': names are not looked up here; ${ADDRESS_FORM}`,
  ],
  ['address too long', I('Address = 10.0.0.1/33'), `wg0.conf:3: Address \`10.0.0.1/33': ${ADDRESS_FORM}`],
  ['address range', I('Address = 10.0.0.1-10.0.0.9'), `wg0.conf:3: Address \`10.0.0.1-10.0.0.9': ${ADDRESS_FORM}`],
  ['address 4 numbers', I('Address = 10.0.0.256/24'), `wg0.conf:3: Address \`10.0.0.256/24': ${ADDRESS_FORM}`],
  ['mtu 0', I('MTU = 0'), `wg0.conf:3: MTU \`0': ${MTU_FORM}`],
  ['mtu 99999', I('MTU = 99999'), `wg0.conf:3: MTU \`99999': ${MTU_FORM}`],
  ['mtu text', I('MTU = auto'), `wg0.conf:3: MTU \`auto': ${MTU_FORM}`],
  ['table text', I('Table = mine'), `wg0.conf:3: Table \`mine': ${TABLE_FORM}`],
  ['table 0', I('Table = 0'), `wg0.conf:3: Table \`0': ${TABLE_FORM}`],
  ['port text', I('ListenPort = any'), `wg0.conf:3: listen port \`any': ${PORT_FORM}`],
  ['port 70000', I('ListenPort = 70000'), `wg0.conf:3: listen port \`70000': ${PORT_FORM}`],
  [
    'fwmark text',
    I('FwMark = red'),
    `wg0.conf:3: fwmark \`red': a mark is "off", or a number up to 4294967295, also as 0x...`,
  ],
  ['saveconfig yes', I('SaveConfig = yes'), `wg0.conf:3: SaveConfig \`yes': it is true or false`],
  [
    'dns wrong',
    I('DNS = 1.1.1.1, exa mple!'),
    `wg0.conf:3: DNS \`exa mple!': write addresses of name servers, and search domains, with commas or spaces between them`,
  ],
  [
    'postup empty',
    I('PostUp ='),
    'warning: wg0.conf:3: PostUp has no command, so nothing is run: write one, or take the line out',
  ],
  ['postup is a comment of the shell', I('PostUp = # later'), FINE],
  ['mtu twice', I('MTU = 1400\nMTU = 1380'), 'warning: wg0.conf:4: MTU is also in line 3: only the last one counts'],
  [
    'private key twice, in two [Interface]',
    `${own}${own}`,
    'warning: wg0.conf:4: PrivateKey is also in line 2: only the last one counts',
  ],
  [
    'address, dns and hooks twice are fine',
    I('Address = 10.0.0.1\nAddress = 10.0.0.2\nDNS = a\nDNS = b\nPreUp = x\nPreUp = x'),
    FINE,
  ],
];
