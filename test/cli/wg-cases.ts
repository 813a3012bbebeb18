/** Devices and configuration files that wg and wgts must read alike. */

export const KEY = {
  private: 'qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=',
  a: 'EhISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhI=',
  b: 'NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ=',
  psk: '7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+8=',
};
export const hex = (key: string) => Buffer.from(key, 'base64').toString('hex');

const peer = (key: string, ...lines: string[]) =>
  [`public_key=${hex(key)}`, ...lines].map(line => `${line}\n`).join('');
const handshake = (seconds: number) => [`last_handshake_time_sec=${seconds}`, 'last_handshake_time_nsec=7'];
export const STATUS: Readonly<Record<string, string>> = {
  nothing: '',
  'a key alone': `private_key=${hex(KEY.private)}\n`,
  'a port and a mark': 'listen_port=51820\nfwmark=4294967295\n',
  'one peer': `private_key=${hex(KEY.private)}\nlisten_port=1\n${peer(KEY.a)}`,
  'every field': `private_key=${hex(KEY.private)}\nlisten_port=51820\nfwmark=255\n${peer(
    KEY.b,
    `preshared_key=${'0'.repeat(64)}`,
    'protocol_version=1',
    'endpoint=[2001:db8::1]:4242',
    ...handshake(0).slice(0, 1),
    'last_handshake_time_nsec=0',
    'tx_bytes=1023',
    'rx_bytes=0',
    'persistent_keepalive_interval=0',
    'allowed_ip=0.0.0.0/0',
    'allowed_ip=::/0',
  )}${peer(KEY.a, `preshared_key=${hex(KEY.psk)}`, 'endpoint=192.0.2.1:1', ...handshake(1_700_000_000), 'tx_bytes=123456789', 'rx_bytes=1099511627776123', 'persistent_keepalive_interval=3661', 'allowed_ip=10.0.0.0/8', 'allowed_ip=fd00::/8')}`,
};
export const FIELDS =
  'public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump'.split(
    ' ',
  );

export const CONFS: Readonly<Record<string, string>> = {
  empty: '',
  'an empty interface': '[Interface]\n',
  everything: `[Interface]\nPrivateKey = ${KEY.private}\nListenPort = 51820\nFwMark = 0xff\n[Peer]\nPublicKey=${KEY.a}\nPresharedKey=${KEY.psk}\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = 192.0.2.1:4242\nPersistentKeepalive = 25\n`,
  'spaces, case and comments': `  [ interface ]# yes\n\tLISTENPORT\t=\t7 # really\n#[Peer]\n[PEER]\npublickey= ${KEY.a.slice(0, 20)} ${KEY.a.slice(20)}\r\nallowedips=10.1.2.3/8,::1,1.2.3.4\n`,
  'two peers, allowed IPs on two lines': `[Interface]\n[Peer]\nPublicKey=${KEY.a}\nAllowedIPs=10.0.0.0/8\nAllowedIPs=10.1.0.0/16\n[Peer]\nPublicKey=${KEY.b}\nPersistentKeepalive=off\n`,
  'off and zero': `[Interface]\nFwMark=off\nListenPort=0\n[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive=0\nEndpoint=[::1]:1\n`,
};

export const WRONG: Readonly<Record<string, string>> = {
  'no section': 'ListenPort = 1\n',
  'an unknown section': '[Server]\n',
  'an unknown key of the interface': '[Interface]\nAddress = 10.0.0.1/24\n',
  'an unknown key of a peer': `[Peer]\nPublicKey=${KEY.a}\nListenPort=1\n`,
  'no equals sign': '[Interface]\nListenPort 1\n',
  'a port that is no number': '[Interface]\nListenPort = many\n',
  'a mark that is no number': '[Interface]\nFwMark = red\n',
  'a key too short': '[Interface]\nPrivateKey = aaaa\n',
  'a key with a wrong last character': `[Interface]\nPrivateKey = ${KEY.private.slice(0, 42)}p=\n`,
  'a peer without key': '[Peer]\nAllowedIPs = 10.0.0.0/8\n',
  'a malformed public key': '[Peer]\nPublicKey = me\n',
  'a malformed preshared key': `[Peer]\nPublicKey=${KEY.a}\nPresharedKey = secret\n`,
  'a malformed allowed IP': `[Peer]\nPublicKey=${KEY.a}\nAllowedIPs = 10.0.0.0/33\n`,
  'a malformed IPv6 allowed IP': `[Peer]\nPublicKey=${KEY.a}\nAllowedIPs = fd00::/129\n`,
  'an endpoint without port': `[Peer]\nPublicKey=${KEY.a}\nEndpoint = 192.0.2.1\n`,
  'an endpoint without end': `[Peer]\nPublicKey=${KEY.a}\nEndpoint = [::1\n`,
  'a malformed keepalive': `[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive = often\n`,
  'a keepalive too long': `[Peer]\nPublicKey=${KEY.a}\nPersistentKeepalive = 65536\n`,
};
/** Accepted by wg, against its own manual, but not by wgts: numbers that wg cuts to 16 bits. */
export const TRUNCATED_BY_WG: Readonly<Record<string, string>> = {
  'a port too large': '[Interface]\nListenPort = 70000\n',
};
