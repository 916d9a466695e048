import { ExposeError } from '../../../errors.ts';
import { excerpt, sanitize } from '../../../platform/text/sanitize.ts';
import { parseFields } from '../../../platform/json-fields.ts';
import { baseUrl, type OutputEvent, type LineReader } from '../external/output-event.ts';

/** Hosts of the public service itself; a share may well be called `api`. */
const notShares = new Set(['api.zrok.io', 'api-v2.zrok.io', 'myzrok.io', 'docs.zrok.io', 'zrok.io']);

/**
 * Reads what `zrok share … --headless` logs (cmd/zrok2/sharePublic.go of v2, cmd/zrok/sharePublic.go and shareReserved.go of
 * v1): `access your zrok share at the following endpoints:` and then one endpoint per line. Without a terminal the log is JSON,
 * with all lines in one message; otherwise text. zrok 1 prints `https://<share>.share.zrok.io`, zrok 2 only
 * `<share>.shares.zrok.io`; other instances have other domains, so any host is accepted there. Only once: later lines may
 * contain data from clients. Errors are printed as `[ERROR]: <what> (<why>)` (tui/messages.go).
 */
export function createZrokReader(program: string): LineReader {
  let isListing = false;
  let isAnnounced = false;

  function announced(urls: readonly string[]): OutputEvent | undefined {
    if (urls.length === 0) return undefined;
    isAnnounced = true;
    return { kind: 'urls', urls };
  }

  function readUrls(message: string, isText: boolean): OutputEvent | undefined {
    const [, behind] = /^access your zrok share(?: at the following endpoints)?:\s*([\s\S]*)$/.exec(message) ?? [];
    const isNext = isListing && isText;
    isListing = isText && behind === '';
    if (behind !== undefined) return announced(behind.split(/\s+/).flatMap(endpoint));
    // In text, the endpoints follow on their own lines.
    return isNext ? announced(endpoint(message.trim())) : undefined;
  }

  return (line) => {
    const { message, isText } = messageOf(line);
    const urls = isAnnounced ? undefined : readUrls(message, isText);
    if (urls !== undefined) return urls;
    // Errors are not part of the log, which contains data from clients.
    const error = line.startsWith('[ERROR]') ? errorIn(line, program) : undefined;
    return error === undefined ? undefined : { kind: 'failure', error };
  };
}

function endpoint(word: string): string[] {
  if (!/^(?:https?:\/\/)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?\/?$/i.test(word)) return [];
  const url = baseUrl(/^https?:/i.test(word) ? word : `https://${word}`);
  return url === undefined || notShares.has(new URL(url).hostname) ? [] : [url];
}

function messageOf(line: string): { readonly message: string; readonly isText: boolean } {
  if (!line.startsWith('{')) return { message: line.replace(textPrefix, ''), isText: true };
  const { msg } = parseFields(line);
  return { message: typeof msg === 'string' ? msg : '', isText: false };
}

/** `[   0.069]    INFO main.(*x).run: ` in v1 (pfxlog), without the colon in v2 (dl/handler.go of michaelquigley/df). */
const textPrefix = /^\[\s*\d+\.\d+\]\s+[A-Z]+\s+\S+\s+/;

/** The service has responded, as its generated client prints it: `[POST /share][401] shareUnauthorized`. */
const answer = /\[[A-Z]+ \/[^\]\s]*\]\[(\d{3})\]/;

function errorIn(message: string, program: string): ExposeError {
  const said = excerpt(sanitize(message).replace(/^\[ERROR\]:?\s*/, ''));
  if (/did you 'zrok2? enable'\?|environment is not enabled/.test(message)) {
    return new ExposeError('tunnel_rejected', `${program} is not enabled on this machine`, {
      hints: [`run ${program} enable with the token of your account`],
    });
  }
  switch (answer.exec(message)?.[1]) {
    case '401':
      return new ExposeError('tunnel_rejected', `${program} is not let in by its service: ${said}`, {
        hints: [`run ${program} disable and ${program} enable with the token of your account`],
      });
    case '404':
    case '409':
    case '422':
      return new ExposeError('tunnel_rejected', `${program} cannot have this share: ${said}`, {
        hints: [`see the names of yours with ${program === 'zrok' ? 'zrok overview' : 'zrok2 list names'}`],
      });
    // Anything else, such as a missing network, may be different the next time.
    default:
      return new ExposeError('tunnel_unavailable', `${program} says: ${said}`);
  }
}
