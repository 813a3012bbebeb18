// One UDP socket inside a namespace. `listen ADDRESS PORT` prints "listening", then the text of
// each datagram on a line of its own; `send ADDRESS PORT TEXT` sends one.
import { createSocket } from 'node:dgram';

const [mode, address, port, text] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
if (mode === 'listen') {
  socket.on('message', message => console.log(message.toString()));
  socket.bind(Number(port), address, () => console.log('listening'));
} else {
  socket.send(text, Number(port), address, error => {
    socket.close();
    if (error !== null) throw error;
  });
}
