import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { failure, urlWithin, type LineReader } from '../external/output-event.ts';

/** Hosts of tunnels: `<id>-<port>.<region>.devtunnels.ms`. */
const hosts = ['devtunnels.ms'];

export const loginHint = 'run devtunnel user login, or devtunnel user login -g for an account of GitHub';

/**
 * Reads a line of `devtunnel host`. The program is closed source and its output only partly documented:
 * https://learn.microsoft.com/azure/developer/dev-tunnels/cli-commands (`Hosting port 3000 at …`), the get-started page of the
 * Teams SDK (`Connect via browser`, `Inspect network activity`, `Ready to accept connections`), and issues of
 * microsoft/dev-tunnels (#400 for lost connections, #512 for errors of the service).
 */
export const readDevtunnelLine: LineReader = (line) => {
  if (/^(?:Connect via browser:|Hosting port:? \d+ at )/.test(line)) return readUrls(line);
  if (line.startsWith('Ready to accept connections for tunnel')) return { kind: 'ready' };
  if (line.startsWith('Warning:')) return { kind: 'warning', message: `devtunnel says: ${excerpt(line)}` };
  if (line.startsWith('Connection to host tunnel relay closed')) return readClosing(line);
  const error = devtunnelErrorIn(line);
  return error === undefined ? undefined : { kind: 'failure', error };
};

/** Of the two forms of the URL, the one without a port passes every firewall; inspection URLs are on other lines. */
function readUrls(line: string): ReturnType<LineReader> {
  const urls = line
    .split(/[\s,]+/)
    .map((word) => urlWithin(word, hosts))
    .filter((url) => url !== undefined && !/-inspect\./.test(url));
  const best = urls.find((url) => new URL(url ?? '').port === '') ?? urls[0];
  return best === undefined ? undefined : { kind: 'urls', urls: [best] };
}

/** It reconnects by itself, except when another host has taken over the tunnel: then it stays and does nothing. */
function readClosing(line: string): ReturnType<LineReader> {
  if (/\bAnother host\b/i.test(line)) {
    const message = 'another devtunnel host has taken over this tunnel';
    return failure('tunnel_rejected', message, ['end the other one, or use another --name']);
  }
  return { kind: 'warning', message: 'devtunnel has lost its connection and makes another one' };
}

/** Why there is no tunnel, if the line says so. */
export function devtunnelErrorIn(line: string): ExposeError | undefined {
  const said = excerpt(line);
  if (saysNotLoggedIn(line) || /status code: Unauthorized\b/.test(line)) {
    return new ExposeError('tunnel_rejected', 'devtunnel is not logged in', { hints: [loginHint] });
  }
  if (/^Error connecting host tunnel session\b/.test(line)) {
    // Renewing the token of a session fails now and then; a new process gets a new token.
    return new ExposeError('tunnel_unavailable', `devtunnel could not connect: ${said}`);
  }
  if (saysNoSuchTunnel(line)) {
    return new ExposeError('tunnel_rejected', `there is no such tunnel: ${said}`, { hints: [createHint] });
  }
  if (/\b(?:limit|quota) exceeded\b|\bTooManyRequests\b/i.test(line)) {
    return new ExposeError('tunnel_unavailable', `the account has no room for more: ${said}`, {
      hints: ['devtunnel list shows your tunnels, devtunnel delete <id> removes one'],
    });
  }
  if (/^Tunnel service (?:error|response status code):/.test(line)) {
    return new ExposeError('tunnel_unavailable', `devtunnel says: ${said}`);
  }
  return undefined;
}

/** Only about the tunnel: a host name that is not found, as without a network, is another error. */
export function saysNoSuchTunnel(line: string): boolean {
  return /^Tunnel not found\b|\bTunnel service error: (?:Tunnel )?not found\b|\bTunnel service response status code: NotFound\b/i.test(
    line,
  );
}

export const createHint = 'make it with devtunnel create <name> --allow-anonymous';

/** Also what `devtunnel user show` prints, with exit code 0. */
export function saysNotLoggedIn(text: string): boolean {
  return /\bnot logged in\b|\blogin required\b|\blogin (?:token )?expired\b|\btoken (?:has )?expired\b/i.test(text);
}
