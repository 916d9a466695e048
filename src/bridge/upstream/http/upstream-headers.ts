import { validateHeaderName, validateHeaderValue } from 'node:http';

import { ExposeError } from '../../../errors.ts';
import { methodHeader, nameHeader, revisionHeader, sessionHeader } from '../../../mcp/headers.ts';

/** Headers for message framing and the connection, and those that the transport sets itself. */
const ownHeaders: ReadonlySet<string> = new Set([
  ...'accept accept-encoding connection content-encoding content-length content-type expect host keep-alive'.split(' '),
  ...'last-event-id proxy-connection te trailer transfer-encoding upgrade'.split(' '),
  revisionHeader,
  sessionHeader,
  methodHeader,
  nameHeader,
]);

/**
 * Checks the headers that a user adds to every request to the server, and returns them.
 * @throws ExposeError `usage`; its message contains no value, since most are secrets.
 */
export function checkUpstreamHeaders(headers: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  for (const [name, value] of headers) {
    if (isRefused(() => validateHeaderName(name))) {
      // Without the name: it may be a secret written in the wrong place.
      const at = name.search(/[^\w!#$%&'*+.^`|~-]/);
      const why = at === -1 ? 'is empty' : `has a character that no name can have, at position ${at + 1}`;
      throw new ExposeError('usage', `the name of a header (--upstream-header) ${why}`, {
        hints: ['write it as in: --upstream-header "Authorization: Bearer …"'],
      });
    }
    if (ownHeaders.has(name.toLowerCase())) {
      throw new ExposeError('usage', `the header ${name} cannot be given with --upstream-header: mcp-expose sets it`);
    }
    if (isRefused(() => validateHeaderValue(name, value))) {
      throw new ExposeError('usage', `the value for the header ${name} has a character that no header can have`, {
        hints: ['a header holds visible ASCII characters, blanks and tabs: look for a line break in the secret'],
      });
    }
  }
  return headers;
}

function isRefused(validate: () => void): boolean {
  try {
    validate();
    return false;
  } catch {
    return true;
  }
}
