import { ExposeError } from '../../../errors.ts';
import { excerpt, sanitize } from '../../../sanitize.ts';
import { baseUrl, type LineReader } from '../../external/finding.ts';

/** Longest part of a line that is shown. */
const maxShownLength = 200;

/** Of the public service itself, which are never where a share is; a share may well be called `api`. */
const notShares: ReadonlySet<string> = new Set([
  'api.zrok.io',
  'api-v2.zrok.io',
  'myzrok.io',
  'docs.zrok.io',
  'zrok.io',
]);

/**
 * Reads what `zrok share … --headless` logs (cmd/zrok2/sharePublic.go of v2, cmd/zrok/sharePublic.go and shareReserved.go of v1):
 * `access your zrok share at the following endpoints:` and then the endpoints, a line for each. The log is JSON where it is not
 * a terminal, so the lines are in one message; text otherwise. zrok 1 says `https://<share>.share.zrok.io`, zrok 2 only
 * `<share>.shares.zrok.io`; services of others have other domains, so any host in that place is taken. Errors are written as
 * `[ERROR]: <what> (<why>)` (tui/messages.go).
 */
export function createZrokReader(program: string): LineReader {
  let isListing = false;

  return (line) => {
    const { message, isText } = messageOf(line);
    const [, behind] = /\baccess your zrok share(?: at the following endpoints)?:\s*([\s\S]*)$/.exec(message) ?? [];
    if (behind !== undefined) {
      const urls = behind.split(/\s+/).flatMap(endpoint);
      isListing = isText && urls.length === 0;
      return urls.length === 0 ? undefined : { kind: 'urls', urls };
    }
    if (isListing && isText) {
      // In text, what follows on lines of its own.
      const urls = endpoint(message.trim());
      isListing = false;
      if (urls.length > 0) return { kind: 'urls', urls };
    }
    const error = errorIn(message, program);
    return error === undefined ? undefined : { kind: 'failure', error };
  };
}

function endpoint(word: string): string[] {
  if (!/^(?:https?:\/\/)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?\/?$/i.test(word)) return [];
  const url = baseUrl(/^https?:/i.test(word) ? word : `https://${word}`);
  return url === undefined || notShares.has(new URL(url).hostname) ? [] : [url];
}

function messageOf(line: string): { readonly message: string; readonly isText: boolean } {
  try {
    const json: unknown = JSON.parse(line);
    const message: unknown = typeof json === 'object' && json !== null && 'msg' in json ? json.msg : '';
    return { message: typeof message === 'string' ? message : '', isText: false };
  } catch {
    return { message: line, isText: true };
  }
}

function errorIn(message: string, program: string): ExposeError | undefined {
  const said = excerpt(sanitize(message).replace(/^\[ERROR\]:?\s*/, ''), maxShownLength);
  if (/did you 'zrok2? enable'\?|environment is not enabled/.test(message)) {
    return new ExposeError('tunnel_rejected', `${program} is not enabled on this machine`, {
      hints: [`run ${program} enable with the token of your account`],
    });
  }
  if (!message.startsWith('[ERROR]')) return undefined;
  if (/\[401\]|unauthorized/i.test(message)) {
    return new ExposeError('tunnel_rejected', `${program} is not let in by its service: ${said}`, {
      hints: [`run ${program} disable and ${program} enable with the token of your account`],
    });
  }
  if (/\[404\]|\[409\]|\[422\]|not found|\bname\b/i.test(message)) {
    return new ExposeError('tunnel_rejected', `${program} cannot have this share: ${said}`, {
      hints: [`see the names of yours with ${program === 'zrok' ? 'zrok overview' : 'zrok2 list names'}`],
    });
  }
  return new ExposeError('tunnel_unavailable', `${program} says: ${said}`);
}
