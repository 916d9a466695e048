import { isObject } from '../mcp/rpc-message.ts';
import { tokenPrefixes } from '../platform/text/redact.ts';

/** Longest JSON of a body that is kept, in characters, and its greatest depth. */
export const maxBodyLength: number = 16 * 1024;
const maxDepth = 16;

/** Of it, what marks of omission at every depth may take. */
const reservedLength = 1024;

/** Characters after the end of a text that is cut which are read too, so that a secret there is recognised. */
const lookahead = 4096;

const maxNameLength = 200;

/** Stands for what is left out. */
const omission = '…';

/** Names whose values are secret, in lower case and without separators. */
const secretName =
  /passw|passphrase|passcode|pwd|secret|token|(?:api|access|private|signing|encryption|master|account|client|ssh)key|authorization|^auth$|bearer|credential|cookie|^session(?:id)?$|dsn|connectionstring|signature|^(?:pin|otp)$/;

/** The same, as far as they are clear, in texts such as `API_KEY=…`, `"password": "…"` or that with escaped quotes. */
const secretWord =
  'passw(?:or)?d|passphrase|passcode|pwd|secret|token|(?:api|access|private|signing|encryption|master|account|client|ssh)[-_. ]?key|credentials?';
const value = String.raw`\\+"[^"]*"?|"(?:[^"\\]|\\[\s\S])*"?|'(?:[^'\\]|\\[\s\S])*'?|[^\s"',;&)}\]]+`;

/** What is secret in a text, and what is left of it. Each takes linear time: repetitions are bounded, or consume what they read. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    '[private key]',
  ],
  [/[\w+/-]{256,}={0,2}/g, '[base64 data]'],
  [/((?:\bauthorization|\bcookie)\\{0,9}["']?\s{0,9}[:=]\s{0,9}\\{0,9}["']?)[^\r\n"'\\]+/gi, `$1${omission}`],
  [/\b(bearer|basic)\s{1,9}[\w.~+/=-]{6,}/gi, `$1 ${omission}`],
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"'@]{1,2000}@/gi, `$1${omission}@`],
  [/([?&](?:key|sig|code|auth)=)[^&\s"'#]+/gi, `$1${omission}`],
  [new RegExp(String.raw`(?<![A-Za-z0-9_])(?:${tokenPrefixes})[\w.~+/=-]{6,}`, 'g'), omission],
  [
    new RegExp(String.raw`((?:${secretWord})[\w.-]{0,40}\\{0,9}["']?\s{0,9}[:=]\s{0,9})(?:${value})`, 'gi'),
    `$1${omission}`,
  ],
];

/**
 * A copy of JSON for a record of calls: without the values of secret names, without what looks like a secret or is base64 in
 * texts, at most `maxBodyLength` characters long, and 16 levels deep. Hides too much rather than too little.
 */
export function redactBody(body: unknown): unknown {
  return new Redaction().copy(body, 0);
}

class Redaction {
  #left = maxBodyLength - reservedLength;

  copy(original: unknown, depth: number): unknown {
    if (typeof original === 'string') return this.#text(original);
    if (Array.isArray(original) || isObject(original)) {
      this.#left -= 2;
      if (depth >= maxDepth) return omission;
      return Array.isArray(original) ? this.#items(original, depth + 1) : this.#members(original, depth + 1);
    }
    this.#left -= String(original).length;
    return original;
  }

  #items(items: readonly unknown[], depth: number): unknown[] {
    const copies: unknown[] = [];
    for (const item of items) {
      if (this.#left <= 0) return [...copies, `${omission} ${items.length - copies.length} more`];
      this.#left--;
      copies.push(this.copy(item, depth));
    }
    return copies;
  }

  #members(object: Readonly<Record<string, unknown>>, depth: number): unknown {
    const copies: [string, unknown][] = [];
    const members = Object.entries(object);
    for (const [name, member] of members) {
      if (this.#left <= 0) {
        copies.push([omission, `${members.length - copies.length} more`]);
        break;
      }
      this.#left -= 2;
      const isHidden = isSecretName(name) && typeof member !== 'boolean' && member !== null;
      if (isHidden) this.#left -= 3;
      copies.push([this.#text(name.slice(0, maxNameLength)), isHidden ? omission : this.copy(member, depth)]);
    }
    // Sets also a member with the name __proto__ as it is.
    return Object.fromEntries(copies);
  }

  #text(text: string): string {
    const left = Math.max(0, this.#left);
    const redacted = redactText(text.slice(0, left + lookahead));
    let shown = redacted.slice(0, left);
    // A character takes up to six in JSON.
    if (JSON.stringify(shown).length > left + 2) shown = shown.slice(0, left / 6);
    this.#left -= JSON.stringify(shown).length;
    return shown.length < redacted.length || text.length > left + lookahead ? shown + omission : shown;
  }
}

/** A name counts with all of its spelling: `apiKey`, `API_KEY`, `x-api-key`. */
function isSecretName(name: string): boolean {
  return secretName.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}

function redactText(text: string): string {
  return patterns.reduce((left, [pattern, rest]) => left.replaceAll(pattern, rest), text);
}
