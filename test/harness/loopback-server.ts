// Other people's servers on a port of this machine: what occupies a port, or answers as a relay would not.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { atEnd, type Lifetime } from './lifetime.ts';

/** Listens on a free loopback port until the test is over. */
export async function listenOnLoopback(server: Server, port = 0, lifetime: Lifetime = 'test'): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  atEnd(lifetime, () => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('not a TCP server');
  return address.port;
}

/**
 * A port that was free a moment ago, for what has to know its port before it listens. Below those that systems give to
 * connections (from 32768 on Linux): these are taken and freed all the time.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(20_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    // oxlint-disable-next-line no-await-in-loop -- before somebody uses it
    if (isFree) await new Promise((resolve) => void server.close(resolve));
    if (isFree) return port;
  }
  throw new Error('no port is free');
}
