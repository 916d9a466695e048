import { fieldsOf, parseFields } from '../external/json-fields.ts';
import { baseUrl, type OutputEvent } from '../external/output-event.ts';
import { concernsRequests, errorNumberIn, firstSentence, ngrokError } from './errors.ts';

/** What is to be done about ngrok itself, beside what every tunnel's lines say. */
export type NgrokOutputEvent =
  | OutputEvent
  /** Where its own API listens, `host:port`. */
  | { readonly kind: 'web service'; readonly address: string }
  | { readonly kind: 'connected' }
  /** It has no connection to its service and keeps trying. */
  | { readonly kind: 'disconnected'; readonly reason: string };

/**
 * What a line of ngrok's log says (`--log-format json`; fields and messages as pyngrok's process.py and its troubleshooting
 * page, and the issues of ngrok show them). A line at the level `eror` is fatal only where it names an error of the service:
 * ngrok goes on after the others.
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

/** The public URL of what leads to our port, from `GET /api/tunnels` (https://ngrok.com/docs/agent/api). */
export function readTunnels(body: Readonly<Record<string, unknown>>, port: number): OutputEvent | undefined {
  const tunnels: unknown = body['tunnels'];
  for (const tunnel of Array.isArray(tunnels) ? tunnels.map(fieldsOf) : []) {
    const found = leadsTo(fieldsOf(tunnel['config'])['addr'], port) ? urls(tunnel['public_url']) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Older versions have the same tunnel under http as well. */
function urls(text: unknown): OutputEvent | undefined {
  const url = typeof text === 'string' ? baseUrl(text) : undefined;
  return url?.startsWith('https:') === true ? { kind: 'urls', urls: [url] } : undefined;
}

function leadsTo(address: unknown, port: number): boolean {
  return (
    typeof address === 'string' && new RegExp(`^(?:https?://)?(?:127\\.0\\.0\\.1|localhost):${port}/?$`).test(address)
  );
}

/** What it prints beside the log (`ERROR:  ERR_NGROK_4018`) repeats the line before it. */
function entryOf(line: string): Readonly<Record<string, string | undefined>> {
  const texts = Object.entries(parseFields(line)).filter(
    (field): field is [string, string] => typeof field[1] === 'string',
  );
  return Object.fromEntries(texts);
}
