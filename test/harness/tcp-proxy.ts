// A network that breaks when a test says so: passes bytes on to a port of this machine, and cuts what goes through it.
import { connect, createServer, type Socket } from 'node:net';
import { atEnd } from './lifetime.ts';
import { listenOnLoopback } from './loopback-server.ts';

export interface TcpProxy {
  /** A URL of the server behind it, as it is reached through it. */
  through(url: string): string;
  /** From now on, connections lead to this server. */
  leadTo(url: string): void;
  /** Breaks every connection that there is. */
  cut(): void;
  /** Connections that have been made through it so far. */
  count(): number;
}

export async function startTcpProxy(url: string): Promise<TcpProxy> {
  let target = Number(new URL(url).port);
  const open = new Set<Socket>();
  let count = 0;
  const server = createServer((near) => {
    count++;
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const port = await listenOnLoopback(server);
  atEnd('test', cut);
  return {
    through(behind) {
      const changed = new URL(behind);
      changed.port = String(port);
      return changed.href;
    },
    leadTo(other) {
      target = Number(new URL(other).port);
      cut();
    },
    cut,
    count: () => count,
  };
}
