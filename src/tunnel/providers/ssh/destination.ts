import { isIP } from 'node:net';

import { ExposeError } from '../../../errors.ts';
import { inUrl } from '../../../platform/net/addresses.ts';

/** An SSH server as the user specified it. */
export interface Destination {
  readonly user?: string;
  /** A name, an address without brackets, or an alias from the user's ssh configuration. */
  readonly host: string;
  readonly port?: number;
}

/**
 * Parses `[user@]host[:port]`; an IPv6 address with a port is in brackets.
 * @throws ExposeError `usage`.
 */
export function parseDestination(text: string): Destination {
  const at = text.lastIndexOf('@');
  const user = at === -1 ? undefined : text.slice(0, at);
  const rest = text.slice(at + 1);
  const [, address, named, portText] =
    /^(?:\[([^\]]+)\]|([a-z0-9_][a-z0-9_.-]*))(?::(\d{1,5}))?$/i.exec(rest) ?? (isIP(rest) === 6 ? ['', rest] : []);
  const host = address ?? named;
  const port = portText === undefined ? undefined : Number(portText);
  const isAddress = address === undefined || isIP(address) === 6;
  // A leading hyphen would make it an option of ssh.
  const isUser = user === undefined || /^[^\s-]\S*$/.test(user);
  if (host === undefined || !isAddress || !isUser || (port !== undefined && (port < 1 || port > 65_535))) {
    throw new ExposeError('usage', `${JSON.stringify(text.replace(/:.*@/s, ':…@'))} names no SSH server`, {
      hints: ['write [user@]host[:port], for example --ssh me@server.example:2222'],
    });
  }
  return { host, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) };
}

/** `host`, or `host:port` when the port is not 22: for messages. */
export function wordsForServer({ host, port = 22 }: Destination): string {
  return port === 22 ? host : `${inUrl(host)}:${port}`;
}
