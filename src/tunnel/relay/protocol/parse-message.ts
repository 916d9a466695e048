import { fieldsOf, type Fields } from '../../../platform/json-fields.ts';
import { isValidName } from './identity.ts';
import { maxControlBytes, maxTextLength, maxUrls } from './limits.ts';
import type { AgentMessage, Hello, RelayMessage, Welcome } from './protocol.ts';
import { toSingleLine } from '../../../platform/text/sanitize.ts';

/** A message of an unknown type, which is ignored. */
export interface UnknownMessage {
  readonly type: 'unknown';
}

/** A message that breaks the protocol; `reason` is for the log and the close frame. */
export interface MalformedMessage {
  readonly type: 'malformed';
  readonly reason: string;
}

/** Reads a control message from an agent. Takes any bytes, never throws. */
export function parseAgentMessage(bytes: Buffer): AgentMessage | UnknownMessage | MalformedMessage {
  const fields = readFields(bytes);
  if (typeof fields === 'string') return malformed(fields);
  switch (fields['type']) {
    case 'hello':
      return readHello(fields) ?? malformed('malformed hello');
    case 'proof': {
      const { signature } = fields;
      return isBytes(signature, 64) ? { type: 'proof', signature } : malformed('malformed proof');
    }
    case 'ack':
      return readAck(fields);
    case 'goaway':
      return { type: 'goaway' };
    default:
      return { type: 'unknown' };
  }
}

/**
 * Reads a control message from a relay. Takes any bytes, never throws. Messages for people are sanitised; the URLs of a welcome
 * are not checked yet.
 */
export function parseRelayMessage(bytes: Buffer): RelayMessage | UnknownMessage | MalformedMessage {
  const fields = readFields(bytes);
  if (typeof fields === 'string') return malformed(fields);
  switch (fields['type']) {
    case 'challenge': {
      const { nonce } = fields;
      return isBytes(nonce, 32) ? { type: 'challenge', nonce } : malformed('malformed challenge');
    }
    case 'welcome':
      return readWelcome(fields) ?? malformed('malformed welcome');
    case 'reject': {
      const { code, retryable, retryAfterMs } = fields;
      const message = readSentence(fields['message']);
      if (typeof code !== 'string' || !/^[a-z_]{1,64}$/.test(code) || message === undefined) {
        return malformed('malformed reject');
      }
      const reject = { type: 'reject', code, message, retryable: retryable === true } as const;
      return isCount(retryAfterMs) ? { ...reject, retryAfterMs } : reject;
    }
    case 'ack':
      return readAck(fields);
    case 'notice': {
      const { kind } = fields;
      const message = readSentence(fields['message']);
      if (typeof kind !== 'string') return { type: 'unknown' };
      return message === undefined ? { type: 'notice', kind } : { type: 'notice', kind, message };
    }
    case 'goaway':
      return { type: 'goaway' };
    default:
      return { type: 'unknown' };
  }
}

function readHello(fields: Fields): Hello | undefined {
  const { publicKey, want } = fields;
  const versions = readStrings(fields['versions'], 16, 64);
  const agent = readSentence(fields['agent']);
  const { name: wish, replica } = fieldsOf(want);
  if (versions === undefined || agent === undefined || !isBytes(publicKey, 32)) return undefined;
  if (wish !== undefined && (typeof wish !== 'string' || wish.length > maxTextLength)) return undefined;
  if (replica !== undefined && !isReplica(replica)) return undefined;
  const { resume } = fields;
  const { session, received } = fieldsOf(resume);
  if (resume !== undefined && !(isSession(session) && isCount(received))) return undefined;
  return {
    type: 'hello',
    versions: versions.map(toSingleLine),
    agent,
    publicKey,
    want: { ...(wish === undefined ? {} : { name: wish }), ...(replica === undefined ? {} : { replica }) },
    ...(isSession(session) && isCount(received) ? { resume: { session, received } } : {}),
  };
}

function readWelcome(fields: Fields): Welcome | undefined {
  const { session, epoch, name, resumeMs, heartbeatMs, received } = fields;
  const urls = readStrings(fields['urls'], maxUrls, maxTextLength);
  const { streams } = fieldsOf(fields['limits']);
  if (!isSession(session) || session === '' || !isCount(epoch)) return undefined;
  if (typeof name !== 'string' || !isValidName(name)) return undefined;
  if (urls === undefined) return undefined;
  if (!isCount(resumeMs) || !isCount(heartbeatMs) || !isCount(streams)) return undefined;
  if (received !== undefined && !isCount(received)) return undefined;
  const welcome = { type: 'welcome', session, epoch, name, urls, resumeMs, heartbeatMs, limits: { streams } } as const;
  return received === undefined ? welcome : { ...welcome, received };
}

function readAck(fields: Fields): (AgentMessage & RelayMessage) | MalformedMessage {
  const { received } = fields;
  return isCount(received) ? { type: 'ack', received } : malformed('malformed ack');
}

function malformed(reason: string): MalformedMessage {
  return { type: 'malformed', reason };
}

/** The fields of a JSON object, or why there are none. */
function readFields(bytes: Buffer): Fields | string {
  if (bytes.length > maxControlBytes) return `control message of more than ${maxControlBytes} bytes`;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'control message is not JSON';
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? fieldsOf(value) : 'control message is not a JSON object';
}

function readStrings(value: unknown, maxItems: number, maxLength: number): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxItems) return undefined;
  const strings: string[] = [];
  for (const item of value as unknown[]) {
    if (typeof item !== 'string' || item.length > maxLength) return undefined;
    strings.push(item);
  }
  return strings;
}

/** Sanitised text for people. */
function readSentence(value: unknown): string | undefined {
  return typeof value === 'string' ? toSingleLine(value) : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The id of a session; empty for none. */
function isSession(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{0,128}$/.test(value);
}

/** The id of a replica. It has no dot: that ends it in the ids of MCP sessions. */
function isReplica(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value);
}

function isBytes(value: unknown, length: number): value is string {
  if (typeof value !== 'string' || value.length > 2 * length || !/^[\w-]+$/.test(value)) return false;
  return Buffer.from(value, 'base64url').length === length;
}

/** Scheme, host or bracketed IPv6 address, port, path: nothing that is special in a shell or a terminal. */
const baseUrlPattern = /^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\/[\w.~%+,:=@-]+)*$/;

/**
 * Whether a relay's text can be a public base URL: http(s) with a host, without credentials, query, fragment or trailing
 * slash. Stricter than RFC 3986, since users paste these URLs into shells and configuration files.
 */
export function isBaseUrl(text: string): boolean {
  return baseUrlPattern.test(text) && URL.canParse(text);
}
