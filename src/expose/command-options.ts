import type { Outcome } from '../http/responses/call-report.ts';
import { parseCount, parseDuration, parsePort, parseUrl } from './option-values.ts';
import type { OptionSpec } from './option-spec.ts';

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

const tokenLimits: readonly OptionSpec[] = [expires, once, maxCalls];

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

const outcomes: readonly Outcome[] = ['ok', 'error', 'tool_error', 'denied', 'cancelled'];

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
  ...tokenLimits,
  { flag: '--read-only', description: 'the token allows only tools that the server marks as read-only' },
];
