/**
 * Frames put into a network device as an AF_PACKET socket does it, each with a virtio_net_hdr in front (PACKET_VNET_HDR, packet(7)):
 * what a program with CAP_NET_RAW alone can make a TUN's reader see. Python, since Node has no such socket.
 */
import { spawn } from 'node:child_process';
import { HANG_MS } from './patience.ts';

const SCRIPT = `
import socket, struct, sys
device, data, at, refused = sys.argv[1], sys.stdin.buffer.read(), 0, 0
sockets = {}
for protocol in (0x0800, 0x86dd):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    s.bind((device, protocol))
    sockets[protocol] = s
while at < len(data):
    (length,) = struct.unpack_from('<I', data, at)
    frame = data[at + 4:at + 4 + length]
    at += 4 + length
    six = length > 10 and frame[10] >> 4 == 6
    try:
        sockets[0x86dd if six else 0x0800].send(frame)
    except OSError as error:
        refused += 1
print(refused)
`;

/**
 * @param prefix of the command line: `ip netns exec NAME`, or nothing
 * @param frames vnet header and packet each, as super-packet.ts makes them
 * @returns how many the kernel refused to take
 */
export function sendFrames(
  prefix: readonly string[],
  device: string,
  frames: readonly Uint8Array[],
  limit = HANG_MS,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const argv = [...prefix, 'python3', '-c', SCRIPT, device];
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'], timeout: limit });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Number(printed));
      else reject(new Error(`sending frames ended with ${code ?? signal}`));
    });
    child.stdin.on('error', () => {}); // it may end without reading all
    for (const frame of frames) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(frame.length);
      child.stdin.write(length);
      child.stdin.write(frame);
    }
    child.stdin.end();
  });
}
