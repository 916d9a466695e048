// The network between mcp-expose and its server, on a bad day.
import { connect, createServer, type Socket } from 'node:net';
import { atEnd, type Lifetime } from './lifetime.ts';
import { listenOnLoopback } from './loopback-server.ts';
import type { Random } from './random.ts';

export interface CuttingProxy {
  readonly port: number;
  /** Cuts one connection, as a reset or as an ordinary end. Returns false when there is none. */
  cutOne(random: Random): boolean;
  cutAll(): void;
  /** Lets no new connection through until the returned function is called. */
  refuse(): () => void;
  /** Carries nothing until the returned function is called. */
  stall(): () => void;
  /** New connections go to this port. */
  retarget(port: number): void;
  /** How many connections were cut because they were idle. */
  idleCuts(): number;
}

export interface CuttingProxyOptions {
  readonly lifetime?: Lifetime;
  /** Cuts connections on which nothing has come for this long, in milliseconds; never by default. */
  readonly idleMs?: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Listens on a free loopback port and passes on what comes to the target. */
export async function startCuttingProxy(
  firstPort: number,
  { lifetime = 'test', idleMs = 0 }: CuttingProxyOptions = {},
): Promise<CuttingProxy> {
  let targetPort = firstPort;
  let idleCuts = 0;
  const pairs = new Set<Pair>();
  let isRefusing = false;
  let isStalled = false;

  const flow = ({ client, server }: Pair): void => {
    client.pipe(server);
    server.pipe(client);
  };

  const proxy = createServer((client) => {
    client.on('error', () => {});
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(targetPort, '127.0.0.1');
    const pair = { client, server };
    pairs.add(pair);
    server.on('error', () => {});
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
    client.setTimeout(idleMs, () => {
      idleCuts += 1;
      client.destroy();
    });
    if (!isStalled) flow(pair);
  });
  const port = await listenOnLoopback(proxy, 0, lifetime);
  const cutAll = (): void => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  };
  atEnd(lifetime, cutAll);

  return {
    port,
    cutOne(random) {
      if (pairs.size === 0) return false;
      const { client, server } = random.pick([...pairs]);
      if (random.below(2) === 0) client.resetAndDestroy();
      else server.destroy();
      return true;
    },
    cutAll,
    refuse() {
      isRefusing = true;
      return () => (isRefusing = false);
    },
    stall() {
      isStalled = true;
      for (const { client, server } of pairs) {
        client.unpipe(server);
        server.unpipe(client);
      }
      return () => {
        isStalled = false;
        for (const pair of pairs) flow(pair);
      };
    },
    retarget(next) {
      targetPort = next;
    },
    idleCuts: () => idleCuts,
  };
}
