// A forward proxy that leads every host name to this machine, so that names that no resolver knows can be called through it.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { atEnd } from './lifetime.ts';
import { listenOnLoopback } from './loopback-server.ts';

export interface ForwardProxy {
  readonly url: string;
  /** Targets of CONNECT, and absolute request targets. */
  readonly asked: readonly string[];
  /** The credentials that came with each of them. */
  readonly credentials: readonly (string | undefined)[];
}

export interface ForwardProxyOptions {
  /** What it answers instead of forwarding; `silent`: nothing. */
  readonly refuse?: number | 'silent';
}

export async function startForwardProxy({ refuse }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const asked: string[] = [];
  const credentials: (string | undefined)[] = [];
  const sockets = new Set<Socket>();

  function note({ url = '', headers }: IncomingMessage): URL {
    asked.push(url);
    credentials.push(headers['proxy-authorization']);
    return new URL(url.includes('://') ? url : `http://${url}`);
  }

  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { port, pathname, search } = note(incoming);
    if (refuse === 'silent') return;
    if (refuse !== undefined) {
      outgoing.writeHead(refuse).end();
      return;
    }
    const { method, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, path: `${pathname}${search}`, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', (incoming: IncomingMessage, near: Socket) => {
    const { port } = note(incoming);
    near.on('error', () => {});
    if (refuse === 'silent') return;
    if (refuse !== undefined) {
      near.end(`HTTP/1.1 ${refuse} No\r\n\r\n`);
      return;
    }
    near.write('HTTP/1.1 200 Connection established\r\n\r\n');
    const far = connect(Number(port), '127.0.0.1');
    near.on('close', () => far.destroy());
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  const port = await listenOnLoopback(server);
  atEnd('test', () => {
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://127.0.0.1:${port}`, asked, credentials };
}
