import { ExposeError } from '../errors.ts';
import { redactWord } from '../platform/text/redact.ts';
import { tunnelKinds, type TunnelKind } from '../tunnel/kinds.ts';
import type { TunnelChoice } from './options.ts';

// Parsers of option values.

/** An invalid value; the message says what the option takes. */
export class InvalidValue extends Error {}

export function parsePort(value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidValue('a port is a number from 0 to 65535');
  return port;
}

export function parseCount(value: string): number {
  const count = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (count < 1) throw new InvalidValue('it takes a whole number from 1');
  return count;
}

export function parseWholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidValue('it takes a whole number from 0');
  return Number(value);
}

const sizeUnits = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1024],
  ['m', 1024 ** 2],
  ['g', 1024 ** 3],
]);

/** A size in bytes: `16MiB`, `16m` or `16777216`. */
export function parseSize(value: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})\s*(b|[kmg](?:i?b)?)?$/i.exec(value) ?? [];
  const factor = sizeUnits.get(unit.slice(0, 1).toLowerCase());
  const size = digits === undefined || factor === undefined ? 0 : Number(digits) * factor;
  if (size < 1 || !Number.isSafeInteger(size))
    throw new InvalidValue('a size is a number with KiB, MiB or GiB, such as 16MiB');
  return size;
}

const durationUnits = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Longest delay that a timer of Node can have, in milliseconds: more than 24 days. */
const maxDurationMs = 2 ** 31 - 1;

/** A duration in milliseconds: `500ms`, `30s`, `2m`, `1h`, `7d`; a bare number is seconds. */
export function parseDuration(value: string): number {
  const [, digits, unit = 's'] = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(value) ?? [];
  const duration = Number(digits ?? Number.NaN) * (durationUnits.get(unit) ?? Number.NaN);
  if (duration > maxDurationMs) throw new InvalidValue('the longest duration is 24d');
  if (!(duration >= 1)) throw new InvalidValue('a duration is a number with ms, s, m, h or d, such as 30s');
  return duration;
}

/** An http(s) URL, without a trailing slash. */
export function parseUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^(?:https?|wss?):$/.test(url.protocol))
    throw new InvalidValue('it takes a URL such as https://relay.example');
  return value.replace(/\/+$/, '');
}

/** An http(s) URL, unchanged: every character of its path may matter to the server. */
export function parseHttpUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new InvalidValue('it takes a URL such as http://127.0.0.1:3000/mcp');
  return value;
}

/** A host name or an address, in lower case, with its port if it has one: a proxy may listen on any. */
export function parseDomain(value: string): string {
  const [, name = '', port = ''] = /^(.*?)\.?(:\d{1,5})?$/.exec(value.toLowerCase()) ?? [];
  const isName = name.length <= 253 && /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}$/.test(name);
  if ((!isName && !/^\[[\da-f:.]+\]$/.test(name)) || !URL.canParse(`http://${name}${port}`)) {
    throw new InvalidValue('it takes a host name such as mcp.example.com, without a scheme and a path');
  }
  return name + port;
}

/**
 * `Name: value` of an HTTP header; `${env:NAME}` in the value is replaced by an environment variable, so that a secret need
 * not be on the command line. Added to the headers given before.
 */
export function parseHeader(
  value: string,
  previous: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const [, name, written = ''] = /^([^:\s]+):(.*)$/s.exec(value) ?? [];
  if (name === undefined) throw new InvalidValue('it takes "Name: value"');
  const content = written.replaceAll(/\$\{env:([^}]*)\}/g, (_match, variable: string) => {
    const found = process.env[variable];
    if (found === undefined) {
      throw new InvalidValue(`there is no environment variable ${redactWord(variable)} for \${env:…}`);
    }
    return found;
  });
  return new Map([...previous, [name, content.trim()]]);
}

/** `NAME=value`, or `NAME` to pass on the value of this process. Added to the variables given before. */
export function parseVariable(
  value: string,
  previous: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const [, name, given] = /^([^=\0]+)(?:=([^\0]*))?$/s.exec(value) ?? [];
  if (name === undefined) throw new InvalidValue('it takes NAME=value, or NAME to pass on your own');
  const content = given ?? process.env[name];
  if (content === undefined) {
    // Text that is not a variable name may be a value without a name, and so a secret.
    const shown = /^[A-Z_][A-Z\d_]*$/.test(name) ? `variable ${redactWord(name)}` : 'such variable';
    throw new InvalidValue(`there is no ${shown} to pass on; write NAME=value to set one`);
  }
  return new Map([...previous, [name, content]]);
}

/** The values of `--tunnel`. */
export const tunnelChoices: readonly TunnelChoice[] = ['auto', ...tunnelKinds, 'none'];

/** The kind of a tunnel, `auto` or `none`. */
export function parseTunnel(value: string): TunnelChoice {
  const choice = tunnelChoices.find((candidate) => candidate === parseTunnelName(value));
  if (choice !== undefined) return choice;
  throw new InvalidValue(`allowed choices are ${tunnelChoices.join(', ')}`);
}

/** What `auto` can try: without a relay it has none to try, and with one it tries nothing else. */
const triable: readonly TunnelKind[] = tunnelKinds.filter((kind) => kind !== 'relay');

/** @throws ExposeError `usage` for a known tunnel that cannot work. */
function parseTunnelName(value: string): string {
  if (value === 'tunnelmole') {
    throw new ExposeError(
      'usage',
      'tunnelmole cannot carry MCP: it buffers whole responses and does not pass event streams',
      {
        hints: ['use another --tunnel; docs/tunnels.md helps to choose'],
      },
    );
  }
  return value;
}

/** Kinds of tunnels in order, separated by commas. */
export function parseTunnelOrder(value: string): readonly TunnelKind[] {
  return value.split(',').map((part) => {
    const kind = triable.find((candidate) => candidate === parseTunnelName(part.trim()));
    if (kind === undefined) throw new InvalidValue(`it takes a list of ${triable.join(', ')}`);
    return kind;
  });
}

/** `[bind:]port`, as the last part of ssh's -R. */
export function parseRemote(value: string): string {
  const [, , port] = /^((?:\[[^\]]+\]|[^:\s]*):)?(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new InvalidValue('it takes a port, or an address and a port, such as 0.0.0.0:8080');
  }
  return value;
}

/** Values of an option that is given several times. An empty one would restrict nothing, or everything, without a word. */
export function parseList(value: string, previous: readonly string[] = []): readonly string[] {
  if (value.trim() === '') throw new InvalidValue('it must not be empty');
  return [...previous, value];
}
