// A plain TCP reverse proxy: a connection to the target for each that comes in, and bytes both ways.
// Run as `node bench/tcp-proxy.js <port of the target> [<certificate.pem> <key.pem>]`; prints `{"port":…}` once it listens. With
// a certificate it terminates TLS, as a proxy in front of a relay does.
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [target, certificate, key] = process.argv.slice(2);

/** @param {import('node:net').Socket} incoming */
function forward(incoming) {
  const outgoing = connect({ host: '127.0.0.1', port: Number(target), noDelay: true });
  incoming.pipe(outgoing).pipe(incoming);
  incoming.on('error', () => outgoing.destroy());
  outgoing.on('error', () => incoming.destroy());
  incoming.once('close', () => outgoing.destroy());
  outgoing.once('close', () => incoming.destroy());
}

const server =
  certificate === undefined || key === undefined
    ? createServer({ noDelay: true }, forward)
    : createTlsServer({ noDelay: true, cert: readFileSync(certificate), key: readFileSync(key) }, forward);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(JSON.stringify({ port: address !== null && typeof address === 'object' ? address.port : 0 }));
});
