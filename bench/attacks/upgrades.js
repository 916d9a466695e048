// On one connection a GET, behind it an upgrade that nobody serves, and half a second later a GET: 40 connections a second.
import { connect } from 'node:net';
import { runAttack } from './attack.js';

const targets = ['/healthz', '/_mcp-expose/tls-check?domain=x', '/nobody/mcp'];
const protocols = ['h2c', 'websocket', 'h2c, websocket', 'TLS/1.0'];

let struck = 0;
await runAttack({
  perSecond: 40,
  strike: ({ url, count }) => {
    const { hostname, port } = new URL(url);
    const target = targets[struck % targets.length] ?? '';
    const protocol = protocols[struck % protocols.length] ?? '';
    struck += 1;
    const get = `GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\n`;
    const socket = connect(Number(port), hostname);
    socket.on('error', () => count('failed'));
    socket.once('data', () => count('answered'));
    socket.write(`${get}\r\n${get}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    setTimeout(() => socket.end(`${get}\r\n`), 500);
    setTimeout(() => socket.destroy(), 1500);
  },
});
