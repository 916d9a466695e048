// Other people's servers on a port of this machine: what occupies a port, or answers as a relay would not.
import { createServer, type Server } from 'node:net';
import { atEnd } from './lifetime.ts';

/** Listens on a free loopback port until the test is over. */
export async function listenOnLoopback(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  atEnd('test', () => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('not a TCP server');
  return address.port;
}

/** A port that was free a moment ago, for what has to know its port before it listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
