// A CNI plugin that runs after `ptp` and makes a pod's interface what Calico's plugin and Felix
// make of it. On the node: a name that starts with `cali`, no address, a route to the pod's address
// alone, answers by proxy ARP. In the pod: a default route via 169.254.1.1, an address that no
// interface has.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const GATEWAY = '169.254.1.1';
const configuration = JSON.parse(readFileSync(0, 'utf8') || '{}');
const { CNI_COMMAND: command, CNI_NETNS: namespace, CNI_IFNAME: inner, CNI_CONTAINERID: id = '' } = process.env;

if (command === 'ADD') {
  const result = configuration.prevResult;
  const made = result.interfaces.find(({ sandbox }) => !sandbox);
  const name = `cali${id.slice(0, 11)}`;
  const address = result.ips[0].address.split('/')[0];
  ip(
    `link set ${made.name} down`,
    `link set ${made.name} name ${name}`,
    `addr flush dev ${name}`,
    `link set ${name} up`,
    `route replace ${address}/32 dev ${name} scope link`,
  );
  for (const setting of ['conf/NAME/proxy_arp', 'conf/NAME/forwarding'])
    writeFileSync(`/proc/sys/net/ipv4/${setting.replace('NAME', name)}`, '1');
  writeFileSync(`/proc/sys/net/ipv4/neigh/${name}/proxy_delay`, '0');
  execFileSync('nsenter', [`--net=${namespace}`, 'ip', '-batch', '-'], {
    input: `route flush dev ${inner}\nroute add ${GATEWAY} dev ${inner} scope link\nroute add default via ${GATEWAY} dev ${inner}\n`,
  });
  made.name = name;
  process.stdout.write(JSON.stringify(result));
} else if (command === 'VERSION') process.stdout.write('{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}');

function ip(...lines) {
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}
