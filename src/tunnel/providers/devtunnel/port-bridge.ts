import { connect, createServer, type Socket } from 'node:net';

import { ExposeError } from '../../../errors.ts';

/**
 * Forwards one port of 127.0.0.1 to another: a dev tunnel leads to the port in its URL, which has to stay the same while our
 * own port changes.
 * @returns closes every connection; resolves when the port is free. Safe to call twice.
 * @throws ExposeError `address_in_use`.
 */
export async function openPortBridge(from: number, to: number): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `the dev tunnel leads to port ${from} of this machine, where something else listens`;
      reject(
        new ExposeError('address_in_use', message, {
          hints: ['end that, or give the tunnel another port with devtunnel port create and devtunnel port delete'],
          cause: error,
        }),
      );
    });
    server.listen(from, '127.0.0.1', resolve);
  });

  let closing: Promise<void> | undefined;
  return () => {
    closing ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
    return closing;
  };
}
