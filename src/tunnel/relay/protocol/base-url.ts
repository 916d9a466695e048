/** Scheme, host or bracketed IPv6 address, port, path: nothing that a shell or a terminal reads as more than text. */
const pattern = /^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\/[\w.~%+,:=@-]+)*$/;

/**
 * Whether a relay's text can be a public base URL: http(s) with a host, without credentials, query, fragment or trailing
 * slash. Stricter than RFC 3986, since users paste these URLs into shells and configuration files.
 */
export function isBaseUrl(text: string): boolean {
  return pattern.test(text) && URL.canParse(text);
}
