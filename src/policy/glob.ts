const any = '*';
const one = '?';

/** Longest name that should be matched, in characters: it may be as long as a message, and each glob takes its time for it. */
export const maxMatchedLength = 8192;

/** Names given by globs: `*` stands for any characters, also none, and `?` for one. */
export class Globs {
  /** The globs without a wildcard. */
  readonly literals: ReadonlySet<string>;
  readonly #patterns: readonly (readonly string[])[];

  constructor(globs: readonly string[]) {
    this.literals = new Set(globs.filter((glob) => !/[*?]/.test(glob)));
    // In code points, so that `?` stands for one of any plane.
    this.#patterns = globs.filter((glob) => !this.literals.has(glob)).map((glob) => Array.from(glob));
  }

  match(name: string): boolean {
    if (this.literals.has(name)) return true;
    if (this.#patterns.length === 0) return false;
    const characters = Array.from(name);
    return this.#patterns.some((pattern) => matches(pattern, characters));
  }
}

/** Takes at most the product of both lengths: a regular expression can take time that is exponential in the number of `*`. */
function matches(pattern: readonly string[], name: readonly string[]): boolean {
  let at = 0;
  let next = 0;
  /** After the last `*`, and where in the name what follows it is tried. */
  let retry: { next: number; at: number } | undefined;
  while (at < name.length) {
    if (pattern[next] === any) {
      retry = { next: ++next, at };
    } else if (pattern[next] === one || pattern[next] === name[at]) {
      next++;
      at++;
    } else if (retry === undefined) {
      return false;
    } else {
      next = retry.next;
      at = ++retry.at;
    }
  }
  while (pattern[next] === any) next++;
  return next === pattern.length;
}
