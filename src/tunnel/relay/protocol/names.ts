/** Length of a name that is derived from a key: 50 bits. */
export const derivedNameLength = 10;

/** Whether `name` can be a wished name: a DNS label (RFC 1035, section 2.3.1) of 3 to 63 characters in lower case. */
export function isValidName(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(name);
}

/** Whether `name` looks like one that is derived from a key, so that only that key may have it. */
export function isDerivedForm(name: string): boolean {
  return name.length === derivedNameLength && /^[a-z2-7]+$/.test(name);
}
