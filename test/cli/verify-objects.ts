/** Cluster objects for `wgts verify`: Nodes with keys, and WireGuard enabled. */
export const FELIX = {
  apiVersion: 'crd.projectcalico.org/v1',
  kind: 'FelixConfiguration',
  metadata: { name: 'default' },
  spec: { wireguardEnabled: true },
};

/** Returns a different address for each name. */
function addressOf(name: string): string {
  const number = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 0) % 2 ** 20;
  return `10.${number >> 16}.${(number >> 8) & 0xff}.${number & 0xff}`;
}

export function nodeObject(name: string, key?: string, address = addressOf(name)): unknown {
  const annotations = {
    'projectcalico.org/IPv4Address': `${address}/8`,
    ...(key !== undefined && { 'projectcalico.org/WireguardPublicKey': key }),
  };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } };
}
