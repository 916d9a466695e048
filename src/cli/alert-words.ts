import type { Alert } from '../expose/options.ts';
import { shellQuote } from '../platform/text/redact.ts';
import { toSingleLine } from '../platform/text/sanitize.ts';
import { named, quoted } from './quoted.ts';

/** What an alert means for the owner, and what to do. */
export function alertWords(alert: Alert): string {
  switch (alert.kind) {
    case 'guessing':
      return `wrong tokens from ${alert.network ?? 'unknown addresses'}: ${alert.count} in a minute; right ones still work`;
    case 'new_address':
      return `${named(alert.caller)} was used from a new address, ${alert.client}; ${unexpected(alert.caller)}`;
    case 'new_client':
      return `${named(alert.caller)} was used by a new client, ${quoted(alert.clientInfo.name)}; ${unexpected(alert.caller)}`;
    case 'burst':
      return `${named(alert.caller)} made more than ${alert.count} requests within a minute; --rate-limit limits them`;
    case 'rate_limited':
      return `${alert.caller === undefined ? (alert.client ?? 'a client') : named(alert.caller)} makes more requests than --rate-limit allows`;
    case 'refusals': {
      const { caller, count, tool, resource, prompt, reason } = alert;
      const what = quoted(tool ?? resource ?? prompt ?? '');
      const calls = `${count} calls within a minute, the last of ${what} (${reason})`;
      return caller === undefined
        ? `rules refused ${calls}`
        : `${named(caller)} was refused ${calls}; ${unexpected(caller)}`;
    }
    default: {
      const { server, added, removed, changed } = alert;
      const changes = Object.entries({ added, removed, changed })
        .filter(([, names]) => names.length > 0)
        .map(([what, names]) => `${what} ${listOf(names)}`);
      return `the tools of ${server ?? 'the server'} changed during a session: ${changes.join('; ')}; check that the rules still fit`;
    }
  }
}

function unexpected(caller: string): string {
  return `if you do not expect that: mcp-expose token revoke ${shellQuote(toSingleLine(caller))}`;
}

/** Most names that are shown. */
const maxNames = 5;

function listOf(names: readonly string[]): string {
  const more = names.length > maxNames ? ' …' : '';
  return names.slice(0, maxNames).map(quoted).join(', ') + more;
}
