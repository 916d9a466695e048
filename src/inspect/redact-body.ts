import { isObject } from '../mcp/rpc-message.ts';
import { tokenPrefixes } from '../platform/text/redact.ts';

/** Longest JSON of a body that is kept, in characters, and its greatest depth. */
export const maxBodyLength: number = 16 * 1024;
const maxDepth = 16;

/** Of it, what marks of omission at every depth may take. */
const reservedLength = 1024;

/** Characters after the end of a text that is cut which are read too, so that a secret there is recognised. */
const lookahead = 4096;

/** Stands for what is left out. */
const omission = '…';

/** What a secret is called: a part of a name of a member, of an option, of a header, in any spelling. */
const secretWord = [
  String.raw`passw|passphrase|passcode|pwd|secret|credential|bearer|cookie|authorization|signature`,
  String.raw`(?:api|access|private|signing|encryption|master|account|client|ssh)[-_. ]{0,2}key`,
  String.raw`connection[-_. ]?string|session[-_. ]?id|(?:pass|auth|dsn)(?![a-z])|(?<![a-z])(?:pin|otp|pw)(?![a-z])`,
  // Not those that are positions in a list, and not the numbers of `max_tokens`.
  String.raw`(?<!(?:page|progress|continuation)[-_. ]?)token(?!s[\\"':=\s]{1,20}\d{1,9}(?![^\s,;}\]]))`,
].join('|');

const secretName = new RegExp(`${secretWord}|^session(?![a-z])|^(?:-u|--user)$`, 'i');

/** Longest text that names what comes after it, in characters. */
const maxLabelLength = 200;

const quote = String.raw`\\{0,9}["']`;

/** Between a secret name and its value in a text. */
const separator = [
  // `API_KEY=`, `"password": `, `:=`, `=>`, `<password>`
  String.raw`(?:${quote})?[ \t]{0,40}[:=>]{1,3}`,
  // `"name": "DB_PASSWORD", "value": `
  String.raw`${quote}[,\s]{1,9}(?:${quote})?value(?:${quote})?\s{0,9}[:=]`,
  // `["--password",`
  String.raw`${quote},\s{0,9}`,
  // `PASSWORD '…'`
  String.raw`(?=\s{1,9}["'])`,
].join('|');

/** A value that says nothing. */
const nothing = String.raw`\s{0,9}(?:true|false|null)\s{0,9}(?:[,}\]]|$)`;

/**
 * All of the text if the value has more than one line or a nesting of its own: an array, an object, a block of YAML, a string in
 * JSON in a string. Else what is in quotes and sticks to that. Else the line: there is no telling where a password ends.
 */
const value = String.raw`[\r\n\\[{|>][\s\S]*|(?:"(?:[^"\\]|\\[\s\S])*"?|'(?:[^'\\]|\\[\s\S])*'?)+[^\s,;)}\]]*|[^\r\n]+`;

/** What is secret in a text, and what is left of it. Each takes linear time: repetitions are bounded, or consume what they read. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    '[private key]',
  ],
  [/(?<![\w+/-])[\w+/-]{256,}={0,2}/g, '[base64 data]'],
  [/\b(bearer|basic)\s{1,9}[\w.~+/=-]{6,}/gi, `$1 ${omission}`],
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"'@]{1,2000}@/gi, `$1${omission}@`],
  [/([?&][\w.-]{0,40}(?:key|sig|code|auth)=)[^&\s"'#]+/gi, `$1${omission}`],
  [/((?<!\S)(?:-u|--user)[\s=]{0,9})[^\s:]{1,200}:[^\r\n]*/g, `$1${omission}`],
  [new RegExp(String.raw`(?<![A-Za-z0-9_])(?:${tokenPrefixes})[\w.~+/=-]{6,}`, 'g'), omission],
  [
    new RegExp(String.raw`((?<![\w-])--?[\w-]{0,40}(?:${secretWord})[\w-]{0,40}\s{1,9})[^\r\n]+`, 'gi'),
    `$1${omission}`,
  ],
  [
    new RegExp(String.raw`((?:${secretWord})[\w.-]{0,40}(?:${separator})(?!${nothing})[ \t]{0,40})(?:${value})`, 'gi'),
    `$1${omission}`,
  ],
];

/**
 * A copy of JSON for a record of calls: without the values of secret names, without what looks like a secret or is base64 in
 * texts, at most `maxBodyLength` characters long, and 16 levels deep. Hides too much rather than too little, and is still a best effort:
 * what looks like any other text is kept.
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

  /** After a secret name comes its value: `["--password", "…"]`. */
  #items(items: readonly unknown[], depth: number): unknown[] {
    const copies: unknown[] = [];
    for (const [at, item] of items.entries()) {
      if (this.#left <= 0) return [...copies, `${omission} ${items.length - at} more`];
      this.#left--;
      copies.push(this.#value(item, isSecretLabel(items[at - 1]), depth));
    }
    return copies;
  }

  #members(object: Readonly<Record<string, unknown>>, depth: number): unknown {
    const copies: [string, unknown][] = [];
    const members = Object.entries(object);
    // `{"name": "DB_PASSWORD", "value": "…"}`, `{"element": "Password field", "text": "…"}`
    const isLabelled = members.some(([name, member]) => isSecretLabel(member) && !isPlain(name));
    for (const [name, member] of members) {
      if (this.#left <= 0) {
        copies.push([omission, `${members.length - copies.length} more`]);
        break;
      }
      this.#left -= 2;
      const isSecret = secretName.test(typeof member === 'number' ? `${name}=${member}` : name);
      const copiedName = this.#text(name.slice(0, maxLabelLength));
      copies.push([copiedName, this.#value(member, isSecret || (isLabelled && isPlain(name)), depth)]);
    }
    // Sets also a member with the name __proto__ as it is.
    return Object.fromEntries(copies);
  }

  #value(original: unknown, isSecret: boolean, depth: number): unknown {
    if (!isSecret || typeof original === 'boolean' || original === null) return this.copy(original, depth);
    this.#left -= 3;
    return omission;
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

function isSecretLabel(label: unknown): boolean {
  return typeof label === 'string' && label.length <= maxLabelLength && secretName.test(label);
}

/** Names of members that hold what another member names. */
function isPlain(name: string): boolean {
  return /^(?:value|text)$/i.test(name);
}

function redactText(text: string): string {
  return patterns.reduce((left, [pattern, rest]) => left.replaceAll(pattern, rest), text);
}
