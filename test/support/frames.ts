/**
 * Sends frames into a network device through an AF_PACKET socket, each behind a virtio_net_hdr
 * (PACKET_VNET_HDR, packet(7)): everything that a program with CAP_NET_RAW can make the reader of a
 * TUN device see. In Python, because Node has no such socket.
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
 * Sends frames.
 * @param prefix of the command line: `ip netns exec NAME`, or nothing
 * @param frames vnet header and packet each, as super-packet.ts makes them
 * @returns the number of frames that the kernel refused
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
    child.stdin.on('error', () => {}); // it may end without reading everything
    for (const frame of frames) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(frame.length);
      child.stdin.write(length);
      child.stdin.write(frame);
    }
    child.stdin.end();
  });
}
