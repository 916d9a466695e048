// The public side of the services whose names do not resolve here: HTTPS on port 443 of an address of loopback, with
// certificates for their names, which `--resolve` leads to. Port 443 needs root, as in CI, or a system that lets everybody
// use it (net.ipv4.ip_unprivileged_port_start).
import { randomInt } from 'node:crypto';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Server } from 'node:net';
import { selfSigned } from './certificate.ts';
import { atEnd } from './lifetime.ts';

export interface PublicFront {
  /** Arguments of mcp-expose that lead a host here. */
  resolve(host: string): string[];
  /** PEM file of the authority that signs for the names, for NODE_EXTRA_CA_CERTS. */
  readonly ca: string;
  /** The same public side over plain HTTP, for clients that ask a resolver. */
  plainUrl(host: string): Promise<string>;
  /** Requests that have come for a host so far. */
  count(host: string): number;
}

/**
 * @param names of the certificate, such as `*.trycloudflare.com`.
 * @param portOf where on loopback what is behind a host listens; undefined where nothing is.
 */
export async function startPublicFront(
  names: readonly string[],
  portOf: (host: string) => number | undefined,
): Promise<PublicFront> {
  const { key, cert, ca } = selfSigned(names.map((name) => `DNS:${name}`));
  const seen: string[] = [];
  const relay = (incoming: IncomingMessage, response: ServerResponse, host: string): void => {
    seen.push(host);
    const port = portOf(host);
    if (port === undefined) {
      response.writeHead(530, { 'content-type': 'text/html' }).end('<h1>error 1033</h1>');
      return;
    }
    const headers = { ...incoming.headers, host };
    const forwarded = request(
      { host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    forwarded.on('error', () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    response.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  };
  const address = `127.${randomInt(64, 128)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const secure = createSecureServer({ key, cert }, (incoming, response) =>
    relay(incoming, response, incoming.headers.host ?? ''),
  );
  await listenOn(secure, 443, address);

  return {
    resolve: (host) => ['--resolve', `${host}:443:${address}`],
    ca,
    async plainUrl(host) {
      const plain = createServer((incoming, response) => relay(incoming, response, host));
      const port = await listenOn(plain, 0, '127.0.0.1');
      return `http://127.0.0.1:${port}`;
    },
    count: (host) => seen.filter((each) => each === host).length,
  };
}

async function listenOn(server: Server & { closeAllConnections(): void }, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  atEnd('test', async () => {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    server.closeAllConnections();
    await closed;
  });
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('not a TCP server');
  return bound.port;
}
