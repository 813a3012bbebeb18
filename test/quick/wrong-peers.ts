/**
 * Files that are wrong, or nearly, in a [Peer]. Each answer was reviewed as a newcomer would read
 * it.
 */

/**
 * A file's text or bytes and the exact answer: an error, a `warning: ` for an accepted file, or
 * nothing for a correct one.
 */
export type WrongFile = readonly [name: string, text: string | Uint8Array, said: string];

const K = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrUM=';
const P = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
const Q = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
const own = `[Interface]\nPrivateKey = ${K}\n`;
const FINE = '';
const MAY_PEER = 'Its keys are PublicKey, PresharedKey, AllowedIPs, Endpoint and PersistentKeepalive';
const SECTIONS = 'Sections are [Interface] and [Peer], each on a line of its own';
const KEY_FORM = 'a key is 44 characters of base64 that end in "="';
const IPS_FORM =
  'write addresses, or prefixes such as 10.0.0.0/8 or fd00::/8, with commas (not only spaces) between them';
const ENDPOINT_FORM = 'write address:port, [address]:port for IPv6, or name:port, such as 192.0.2.1:51820';
const NAME_FORM = 'write address:port, [address]:port or name:port';
const KEEPALIVE_FORM = 'it is "off", or a number of seconds from 0 to 65535';
const HIDDEN = 'a text of 44 characters with what looks like a key';
const peer = `[Peer]\nPublicKey = ${P}\n`;
const R = (line: string) => `${own}${peer}${line}\n`;

export const WRONG_PEERS: readonly WrongFile[] = [
  [
    'Address in Peer',
    R('Address = 10.0.0.1/24'),
    `wg0.conf:5: \`Address' is not a key of [Peer] but of [Interface]: move it below an [Interface] line`,
  ],
  [
    'DNS in Peer',
    R('DNS = 1.1.1.1'),
    `wg0.conf:5: \`DNS' is not a key of [Peer] but of [Interface]: move it below an [Interface] line`,
  ],
  [
    'PrivateKey in Peer',
    R(`PrivateKey = ${K}`),
    `wg0.conf:5: \`PrivateKey' is not a key of [Peer] but of [Interface]: move it below an [Interface] line`,
  ],
  [
    'AllowedIP',
    R('AllowedIP = 10.0.0.0/8'),
    `wg0.conf:5: \`AllowedIP' is not a key of [Peer]. Did you mean AllowedIPs? ${MAY_PEER}`,
  ],
  [
    'Allowed IPs',
    R('Allowed-IPs = 10.0.0.0/8'),
    `wg0.conf:5: \`Allowed-IPs' is not a key of [Peer]. Did you mean AllowedIPs? ${MAY_PEER}`,
  ],
  [
    'PersistentKeepAlives',
    R('PersistentKeepAlives = 25'),
    `wg0.conf:5: \`PersistentKeepAlives' is not a key of [Peer]. Did you mean PersistentKeepalive? ${MAY_PEER}`,
  ],
  [
    'PreSharedKeys',
    R(`PreSharedKeys = ${K}`),
    `wg0.conf:5: \`PreSharedKeys' is not a key of [Peer]. Did you mean PresharedKey? ${MAY_PEER}`,
  ],
  [
    'EndPoints',
    R('EndPoints = 192.0.2.1:1'),
    `wg0.conf:5: \`EndPoints' is not a key of [Peer]. Did you mean Endpoint? ${MAY_PEER}`,
  ],
  ['[peer ] is fine', `${own}[peer ]\nPublicKey = ${P}\n`, FINE],
  [
    '[Peers]',
    `${own}[Peers]\nPublicKey = ${P}\n`,
    `wg0.conf:3: \`[Peers]' is not a section. Did you mean [Peer]? ${SECTIONS}`,
  ],
  ['[Peer] Name', `${own}[Peer] Bob\n`, `wg0.conf:3: \`[Peer]Bob' is not a section. ${SECTIONS}`],
  ['only peer', peer, 'wg0.conf: there is no [Interface] section, which a file for `wgts up` begins with'],
  [
    'quotes around an endpoint',
    R('Endpoint = "192.0.2.1:51820"'),
    `wg0.conf:5: endpoint \`"192.0.2.1:51820"': take the quotes away; ${ENDPOINT_FORM}`,
  ],
  [
    'no = at a public key',
    `${own}[Peer]\nPublicKey ${P}\n`,
    `wg0.conf:4: there is no \`=' between PublicKey and its value: write PublicKey = KEY`,
  ],
  [
    'private key is the peer',
    `${own}[Peer]\nPublicKey = ${K}\n`,
    'warning: wg0.conf: PrivateKey is also the PublicKey of a peer: one of them is in the wrong place, and the private key may be known',
  ],
  [
    'public key short',
    `${own}[Peer]\nPublicKey = ${P.slice(0, 30)}\n`,
    `wg0.conf:4: PublicKey \`GtL7fZc/bLnqZldpVofMCD6hDjrK28' is not a key: it has 30 characters; ${KEY_FORM}`,
  ],
  [
    'public key hex',
    `${own}[Peer]\nPublicKey = ${Buffer.from(P, 'base64').toString('hex')}\n`,
    `wg0.conf:4: PublicKey a text of 64 characters with what looks like a key is not a key: it is hexadecimal (convert it: echo HEX | xxd -r -p | base64); ${KEY_FORM}`,
  ],
  ['public key word', `${own}[Peer]\nPublicKey = bob\n`, `wg0.conf:4: PublicKey \`bob' is not a key: ${KEY_FORM}`],
  [
    'public key zero',
    `${own}[Peer]\nPublicKey = ${'A'.repeat(43)}=\n`,
    'warning: wg0.conf: a peer has a PublicKey of all zeros, which no peer can have',
  ],
  [
    'preshared key short',
    R(`PresharedKey = ${K.slice(1)}`),
    `wg0.conf:5: PresharedKey of 43 characters is not a key: ${KEY_FORM}`,
  ],
  [
    'no public key',
    `${own}[Peer]\nAllowedIPs = 10.0.0.0/8\n`,
    'wg0.conf:3: this [Peer] has no PublicKey: give it one, or take the section out',
  ],
  [
    'peer twice',
    `${own}${peer}${peer}`,
    'warning: wg0.conf: peer GtL7fZc/... is in the file twice: the settings of its last [Peer] count',
  ],
  [
    'same allowed ips',
    `${own}${peer}AllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = ${Q}\nAllowedIPs = 10.0.0.0/8\n`,
    'warning: wg0.conf: AllowedIPs 10.0.0.0/8 is in two peers, GtL7fZc/... and xTIBA5rb...: only the last, xTIBA5rb..., gets it',
  ],
  [
    'host bits',
    R('AllowedIPs = 10.0.0.1/24'),
    `warning: wg0.conf:5: AllowedIP has nonzero host part: \`10.0.0.1/24' is used as 10.0.0.0/24`,
  ],
  [
    'allowed ips with spaces',
    R('AllowedIPs = 10.0.0.0/8 fd00::/8'),
    `wg0.conf:5: allowed IP \`10.0.0.0/8fd00::/8': ${IPS_FORM}`,
  ],
  [
    'allowed ips semicolon',
    R('AllowedIPs = 10.0.0.0/8; fd00::/8'),
    `wg0.conf:5: allowed IP \`10.0.0.0/8;fd00::/8': neither ; nor // begins a comment, but # does; ${IPS_FORM}`,
  ],
  ['allowed ips name', R('AllowedIPs = example.com'), `wg0.conf:5: allowed IP \`example.com': ${IPS_FORM}`],
  ['allowed ips too long', R('AllowedIPs = 10.0.0.0/33'), `wg0.conf:5: allowed IP \`10.0.0.0/33': ${IPS_FORM}`],
  [
    'allowed ips mask',
    R('AllowedIPs = 10.0.0.0/255.0.0.0'),
    `wg0.conf:5: allowed IP \`10.0.0.0/255.0.0.0': ${IPS_FORM}`,
  ],
  [
    'allowed ips all',
    R('AllowedIPs = any'),
    `wg0.conf:5: allowed IP \`any': for all addresses write 0.0.0.0/0, ::/0; ${IPS_FORM}`,
  ],
  [
    'endpoint without port',
    R('Endpoint = 192.0.2.1'),
    `wg0.conf:5: endpoint \`192.0.2.1': it has no port: ${ENDPOINT_FORM}`,
  ],
  [
    'endpoint name without port',
    R('Endpoint = vpn.example.com'),
    `wg0.conf:5: endpoint \`vpn.example.com': it has no port: ${ENDPOINT_FORM}`,
  ],
  [
    'endpoint url',
    R('Endpoint = https://vpn.example.com:51820'),
    `wg0.conf:5: endpoint \`https://vpn.example.com:51820': an endpoint is not a URL; ${NAME_FORM}`,
  ],
  [
    'endpoint IPv6 without brackets',
    R('Endpoint = 2001:db8::1'),
    `wg0.conf:5: endpoint \`2001:db8::1': IPv6 needs brackets, and a port after them; ${NAME_FORM}`,
  ],
  [
    'endpoint IPv6 without brackets, with port',
    R('Endpoint = 2001:db8::1:51820'),
    `warning: wg0.conf:5: Endpoint \`2001:db8::1:51820' is read as [2001:db8::1]:51820; write it that way, since IPv6 needs brackets before a port`,
  ],
  [
    'endpoint IPv6 without port',
    R('Endpoint = [2001:db8::1]'),
    `wg0.conf:5: endpoint \`[2001:db8::1]': it has no port: ${ENDPOINT_FORM}`,
  ],
  ...['192.0.2.1', '[2001:db8::1]', 'vpn.example'].map(
    (host): WrongFile => [
      `endpoint port 0 of ${host}`,
      R(`Endpoint = ${host}:0`),
      "warning: wg0.conf: peer GtL7fZc/... has an Endpoint with port 0, which cannot receive anything: write the peer's ListenPort",
    ],
  ),
  [
    'endpoint twice',
    R('Endpoint = 192.0.2.1:1\nEndpoint = 192.0.2.2:1'),
    'warning: wg0.conf:6: Endpoint is also in line 5: only the last one counts',
  ],
  [
    'no second [Peer]',
    R(`PublicKey = ${Q}`),
    'warning: wg0.conf:5: PublicKey is also in line 4: only the last one counts (another peer begins with a [Peer] line of its own)',
  ],
  [
    'the same in two peers is fine',
    R(`Endpoint = 192.0.2.1:1\n[Peer]\nPublicKey = ${Q}\nEndpoint = 192.0.2.1:1`),
    FINE,
  ],
  [
    'peer is the interface itself',
    `${own}[Peer]\nPublicKey = cL9S5KV5wAy/AsKyYct3qz9BHxe5FYqxlb/eDthF/VY=\n`,
    "warning: wg0.conf: peer cL9S5KV5... has the public key of this interface itself, so it is ignored: write the other side's (there, wgts show prints it)",
  ],
  ['endpoint port 70000', R('Endpoint = 192.0.2.1:70000'), `wg0.conf:5: endpoint \`192.0.2.1:70000': ${ENDPOINT_FORM}`],
  ['endpoint is a key', R(`Endpoint = ${K}`), `wg0.conf:5: endpoint ${HIDDEN}: it has no port: ${ENDPOINT_FORM}`],
  ['allowed ips is a key', R(`AllowedIPs = ${K}`), `wg0.conf:5: allowed IP ${HIDDEN}: ${IPS_FORM}`],
  [
    'keepalive 70000',
    R('PersistentKeepalive = 70000'),
    `wg0.conf:5: persistent keepalive interval \`70000': ${KEEPALIVE_FORM}`,
  ],
  ['keepalive on', R('PersistentKeepalive = on'), `wg0.conf:5: persistent keepalive interval \`on': ${KEEPALIVE_FORM}`],
  [
    'keepalive unit',
    R('PersistentKeepalive = 25s'),
    `wg0.conf:5: persistent keepalive interval \`25s': ${KEEPALIVE_FORM}`,
  ],
];
