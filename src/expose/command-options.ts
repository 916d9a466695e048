import type { CallerRules } from '../auth/caller.ts';
import type { TokenLimits } from '../auth/token-limits.ts';
import type { Outcome } from '../http/responses/call-report.ts';
import { parseCount, parseDuration, parseList, parsePort, parseUrl } from './option-values.ts';
import type { OptionSpec } from './option-spec.ts';

// For commands that send a name.
export { checkTokenName } from '../auth/token-name.ts';

export const expires: OptionSpec = {
  flag: '--expires <duration>',
  description: 'end the token, and the sessions that use it, after this time',
  parse: parseDuration,
  needs: { token: true },
};

export const once: OptionSpec = {
  flag: '--once',
  description: 'only the first client that connects can use the token',
  needs: { token: true },
};

export const maxCalls: OptionSpec = {
  flag: '--max-calls <n>',
  description: 'number of tool calls that the token allows',
  parse: parseCount,
  needs: { token: true },
};

export function listOption(flag: string, description: string): OptionSpec {
  return { flag, description: `${description}; repeatable`, parse: parseList, isRepeatable: true };
}

export const allowIps: OptionSpec = listOption(
  '--allow-ip <range>',
  'accept only clients with this address, range (CIDR) or preset (anthropic)',
);

/** What callers may use: of a run, or of a token. */
export const ruleOptions: Readonly<Record<keyof CallerRules, OptionSpec>> = {
  allowTools: listOption('--allow-tool <glob>', 'let callers use only these tools, such as read_*'),
  denyTools: listOption('--deny-tool <glob>', 'hide and refuse these tools'),
  allowResources: listOption('--allow-resource <glob>', 'let callers read only resources with these URIs'),
  denyResources: listOption('--deny-resource <glob>', 'hide and refuse resources with these URIs'),
  allowPrompts: listOption('--allow-prompt <glob>', 'let callers use only these prompts'),
  denyPrompts: listOption('--deny-prompt <glob>', 'hide and refuse these prompts'),
  readOnly: {
    flag: '--read-only',
    description: 'only tools that the server marks as read-only, and those that --allow-tool names without a wildcard',
  },
};

/** The options of `mcp-expose token add`. */
export const tokenLimits: Readonly<Record<keyof TokenLimits, OptionSpec>> = {
  expiresInMs: expires,
  once,
  maxCalls,
  allowIps,
  ...ruleOptions,
};

/** The output options of every command. */
export const outputOptions: readonly OptionSpec[] = [
  { flag: '--json', description: 'print one JSON object per line' },
  { flag: '--quiet', description: 'print only the result and errors' },
  { flag: '--verbose', description: 'print more details' },
  { flag: '--no-color', description: 'no colors' },
];

/** The options of the command `relay`, except the output options. */
export const relayOptions: readonly OptionSpec[] = [
  { flag: '--host <address>', description: 'address to listen on', defaultValue: '127.0.0.1' },
  {
    flag: '--port <port>',
    description: 'port to listen on; 0 picks a free one',
    parse: parsePort,
    defaultValue: 7900,
  },
  {
    flag: '--public-url <url>',
    description: 'public URL of this relay (default: http://host:port)',
    parse: parseUrl,
    secrecy: 'url',
  },
  { flag: '--domain <domain>', description: 'also serve names as NAME.<domain>; needs a wildcard DNS record' },
  {
    flag: '--state <file>',
    description: 'file that records which key has which name (default: in ~/.config/mcp-expose/relays)',
  },
];

const outcomes: readonly Outcome[] = ['ok', 'input_required', 'error', 'tool_error', 'denied', 'cancelled'];

/** The options of `mcp-expose audit`. */
export const auditOptions: readonly OptionSpec[] = [
  { flag: '--caller <name>', description: 'only this token, or client that signed in' },
  { flag: '--tool <glob>', description: 'only calls of these tools, such as write_*' },
  { flag: '--outcome <outcome>', description: 'only calls that ended so', choices: outcomes },
  { flag: '--since <duration>', description: 'only what is not older, such as 24h', parse: parseDuration },
  { flag: '--summary', description: 'print numbers for each caller and tool instead' },
];

/** The options of `mcp-expose token`. */
export const tokenOptions: readonly OptionSpec[] = [
  { flag: '--run <run>', description: 'which run, if there are several: its pid, or the name of a server' },
  ...Object.values(tokenLimits),
];
