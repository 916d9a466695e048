import { fieldsOf, parseFields } from '../../../platform/json-fields.ts';
import { baseUrl, type OutputEvent } from '../external/output-event.ts';
import { concernsRequests, errorNumberIn, firstSentence, ngrokError } from './errors.ts';

/** What is specific to ngrok, in addition to the events of every program. */
export type NgrokOutputEvent =
  | OutputEvent
  /** The address of its own API, `host:port`. */
  | { readonly kind: 'web service'; readonly address: string }
  | { readonly kind: 'connected' }
  /** It has no connection to its service and keeps trying. */
  | { readonly kind: 'disconnected'; readonly reason: string };

/**
 * Reads a line of ngrok's log (`--log-format json`; fields and messages as in pyngrok's process.py and troubleshooting page,
 * and in issues of ngrok). A line of level `eror` is fatal only when it names an error of the service: ngrok continues after
 * the others.
 * @param port on 127.0.0.1 that the tunnel leads to.
 */
export function readNgrokLine(line: string, port: number): NgrokOutputEvent | undefined {
  const entry = entryOf(line);
  const { lvl: level, msg: message = '', err: reason = '' } = entry;
  switch (message) {
    case 'starting web service':
      return entry['addr'] === undefined ? undefined : { kind: 'web service', address: entry['addr'] };
    case 'started tunnel':
      return leadsTo(entry['addr'], port) ? urls(entry['url']) : undefined;
    case 'tunnel session started':
    case 'client session established':
      return { kind: 'connected' };
  }
  const text = reason === '' || reason === '<nil>' ? message : reason;
  const number = errorNumberIn(`${message} ${reason}`);
  if (number !== undefined && concernsRequests(number) && level !== 'crit') {
    return { kind: 'warning', message: ngrokError(number, text).message };
  }
  if (level === 'crit' || (level === 'eror' && number !== undefined)) {
    return { kind: 'failure', error: ngrokError(number, text) };
  }
  if (level === 'eror' && /\bsession\b/.test(message)) return { kind: 'disconnected', reason: firstSentence(text) };
  return undefined;
}

/** The public URL of the tunnel to our port, from `GET /api/tunnels` (https://ngrok.com/docs/agent/api). */
export function readTunnels(body: Readonly<Record<string, unknown>>, port: number): OutputEvent | undefined {
  const tunnels: unknown = body['tunnels'];
  for (const tunnel of Array.isArray(tunnels) ? tunnels.map(fieldsOf) : []) {
    const found = leadsTo(fieldsOf(tunnel['config'])['addr'], port) ? urls(tunnel['public_url']) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Older versions also list the tunnel with http. */
function urls(text: unknown): OutputEvent | undefined {
  const url = typeof text === 'string' ? baseUrl(text) : undefined;
  return url?.startsWith('https:') === true ? { kind: 'urls', urls: [url] } : undefined;
}

function leadsTo(address: unknown, port: number): boolean {
  return (
    typeof address === 'string' && new RegExp(`^(?:https?://)?(?:127\\.0\\.0\\.1|localhost):${port}/?$`).test(address)
  );
}

/** Lines outside the log (`ERROR:  ERR_NGROK_4018`) repeat the log line before them. */
function entryOf(line: string): Readonly<Record<string, string | undefined>> {
  const texts = Object.entries(parseFields(line)).filter(
    (field): field is [string, string] => typeof field[1] === 'string',
  );
  return Object.fromEntries(texts);
}
