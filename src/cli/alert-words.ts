import type { Alert } from '../expose/options.ts';
import { shellQuote } from '../platform/text/redact.ts';
import { toSingleLine } from '../platform/text/sanitize.ts';

/** Longest name from outside that is shown, in characters. */
const maxShownLength = 80;

/** What an alert means for the owner, and what to do. */
export function alertWords(alert: Alert): string {
  switch (alert.kind) {
    case 'guessing':
      return `wrong tokens from ${alert.network ?? 'unknown addresses'}: ${alert.count} in a minute; right ones still work`;
    case 'new_address':
      return `${shown(alert.caller)} was used from a new address, ${alert.client}; ${unexpected(alert.caller)}`;
    case 'new_client':
      return `${shown(alert.caller)} was used by a new client, ${quoted(alert.clientInfo.name)}; ${unexpected(alert.caller)}`;
    case 'burst':
      return `${shown(alert.caller)} made more than ${alert.count} calls within a minute; --rate-limit limits them`;
    case 'rate_limited':
      return `${shown(alert.caller ?? alert.client ?? 'a client')} makes more requests than --rate-limit allows`;
    case 'refusals': {
      const { caller, count, tool, resource, prompt, reason } = alert;
      const what = quoted(tool ?? resource ?? prompt ?? '');
      return `${shown(caller)} was refused ${count} calls within a minute, the last of ${what} (${reason}); ${unexpected(caller)}`;
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

/** What a client or server has chosen. */
function quoted(text: string): string {
  return JSON.stringify(shown(text));
}

function shown(text: string): string {
  const line = toSingleLine(text);
  return line.length > maxShownLength ? `${line.slice(0, maxShownLength)}…` : line;
}
