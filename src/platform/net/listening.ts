import { closeSync, openSync } from 'node:fs';
import type { Server } from 'node:net';
import { devNull } from 'node:os';

import { ExposeError, isOutOfFiles, messageOf, openFilesHint } from '../../errors.ts';
import { inUrl } from './addresses.ts';

/** How often the warning about too many open files is repeated, in milliseconds. */
const fullNoticeMs = 60_000;

export interface ListenTarget {
  /** Who listens, for the message. Default: not named. */
  readonly who?: string;
  readonly host: string;
  readonly port: number;
  /** The option with which the user chose the port. */
  readonly portOption: string;
}

/** Why a server cannot listen, from the error of node:net. */
export function listenError({ who, host, port, portOption }: ListenTarget, cause: NodeJS.ErrnoException): ExposeError {
  const address = inUrl(host);
  const where = port === 0 ? address : `${address}:${port}`;
  const failed = `${who === undefined ? '' : `${who} `}cannot listen on ${where}`;
  const unavailable = (why: string, hint: string): ExposeError =>
    new ExposeError('address_unavailable', `${failed}: ${why}`, { hints: [hint], cause });
  if (isOutOfFiles(cause)) return new ExposeError('too_many_open_files', `${failed}: too many open files`, { cause });
  switch (cause.code) {
    case 'EADDRINUSE':
      return new ExposeError('address_in_use', `${failed}: the port is in use`, {
        hints: [`choose another one with ${portOption}, or ${portOption} 0 for a free one`],
        cause,
      });
    case 'EADDRNOTAVAIL':
      return unavailable(
        'this machine does not have that address',
        '--host takes an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them',
      );
    case 'EACCES':
      return unavailable('that port needs privileges', `choose one from 1024 on with ${portOption}`);
    default:
      return unavailable(messageOf(cause), '--host takes an address of this machine, such as 127.0.0.1');
  }
}

/** How long after a connection to check whether another one can be accepted, in milliseconds. */
const lookDelayMs = 20;

/**
 * Reports that connections cannot be accepted because too many files are open. libuv then closes them without an event, so
 * after a connection this checks whether another file can be opened.
 */
export function watchOpenFiles(server: Server, onWarning: (message: string) => void): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (): void => {
    if (performance.now() - toldAt < fullNoticeMs) return;
    toldAt = performance.now();
    onWarning(`too many open files: further connections are refused; ${openFilesHint}`);
  };
  let looking: NodeJS.Timeout | undefined;
  const look = (): void => {
    looking = undefined;
    try {
      closeSync(openSync(devNull, 'r'));
    } catch (error) {
      if (isOutOfFiles(error)) tell();
    }
  };
  server.on('connection', () => {
    looking ??= setTimeout(look, lookDelayMs).unref();
  });
  // Without a listener, an error of a single connection would end the process.
  server.on('error', (error) =>
    isOutOfFiles(error) ? tell() : onWarning(`a connection was not accepted: ${messageOf(error)}`),
  );
}
