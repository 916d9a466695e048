/*
 * Replaces possible secrets with `…` in text that a user typed, before it is printed. Hides too much rather than too little.
 */

/** Names of options, variables and headers whose values are usually secrets. */
const secretName =
  /key|token|secret|passw|passphrase|pwd|credential|auth(?!or)|bearer|cookie|dsn|connection-?string|header/i;

/** Prefixes of the tokens of services, and of JSON Web Tokens (RFC 7519), which begin with `{"` in base64url: part of a pattern. */
export const tokenPrefixes: string = String.raw`mcp[arx]_|sk-|[prs]k_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|npm_|hf_|pypi-|whsec_|A[KS]IA|AIza|ya29\.|eyJ`;

const markedToken = new RegExp(String.raw`^(?:${tokenPrefixes})[\w.-]{6}`);

/** Long and random: words, file names and versions do not look like this. */
const mixedToken = /^(?=.*[A-Z])(?=.*[a-z])(?=(?:.*\d){2})[\w+=~-]{20,}$/;
const hexToken = /^(?=.*\d)[\da-f-]{24,}$/i;

/** A word as a shell reads it, with its quotes. The alternatives begin differently, so it takes linear time. */
const shellWord = /(?:[^\s"'\\]|\\.?|"(?:[^"\\]|\\.)*"?|'[^']*'?)+/gs;

/** A URL, valid or not, without user name, password, query, fragment and path segments that look random. */
export function redactUrl(text: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(text) ?? [];
  // A URL with a slash or a `?` in the password cannot be parsed: then the address begins after the last `@`.
  const isUrl = scheme !== '' && URL.canParse(text);
  const withoutUser = rest.replace(isUrl ? /^[^/?#]*@/ : /^.*@/s, '…@');
  const [, address = '', more = ''] = /^([^?#]*)(.*)$/s.exec(withoutUser) ?? [];
  const segments = address.split('/').map((segment) => (looksLikeToken(segment) ? '…' : segment));
  return scheme + segments.join('/') + (more === '' ? '' : '?…');
}

/** The words of a command line, without the values of secret options, of variables and headers, and of URLs' secrets. */
export function redactWords(words: readonly string[]): string[] {
  return words.map((word, at) => {
    const before = words[at - 1] ?? '';
    // A header or its scheme without quotes.
    if (/^(?:bearer|basic|token|[\w-]+:)$/i.test(before)) return '…';
    const option = /^-{1,2}(?!-|no-)([\w-]+)$/.exec(before)?.[1];
    if (option === 'u' || option === 'user') return word.replace(/:.*$/s, ':…');
    const isSecret = option !== undefined && (option === 'H' || secretName.test(option)) && !word.startsWith('-');
    return isSecret ? redactHeader(word) : redactWord(word);
  });
}

/** One word of a command line, or the value of an option. */
export function redactWord(word: string): string {
  const [, name, value = ''] = /^(-{0,2}[A-Za-z_][\w-]*)=(.*)$/s.exec(word) ?? [];
  if (name !== undefined) {
    const isSecret = value !== '' && (!name.startsWith('-') || secretName.test(name));
    return `${name}=${isSecret ? '…' : redactWord(value)}`;
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(word)) return redactUrl(word);
  if (/^[\w-]+:\s/.test(word)) return redactHeader(word);
  return looksLikeToken(word) ? '…' : word;
}

/** A whole command in one text. */
export function redactCommand(command: string): string {
  const words = (command.match(shellWord) ?? []).map((word) => word.replaceAll(/["']|\\(?=.)/gs, ''));
  const redacted = redactWords(words);
  let at = -1;
  return command.replaceAll(shellWord, (written) => {
    const word = redacted[++at] ?? '…';
    return word === words[at] ? written : shellQuote(word);
  });
}

/** A word quoted for a POSIX shell (POSIX.1-2017, Shell §2.2). */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** `Name: value` without the value, or the whole of it where it has no name. */
function redactHeader(text: string): string {
  return text.replace(/^([\w-]+:\s*)?.*$/s, '$1…');
}

/** Whether a word is probably a secret: it does not look like something that a person would choose. */
export function looksLikeToken(word: string): boolean {
  return markedToken.test(word) || mixedToken.test(word) || hexToken.test(word);
}
