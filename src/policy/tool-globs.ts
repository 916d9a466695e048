import { editDistance } from '../platform/text/edit-distance.ts';
import { Globs, maxMatchedLength } from './glob.ts';

/** Names of tools that are remembered, longest of them and longest glob, in characters, to find those that are similar. */
const maxNames = 10_000;
const maxLength = 200;

/** Names that a warning has. */
const maxClosest = 3;

interface ToolGlob {
  readonly option: string;
  readonly glob: string;
  readonly matcher: Globs;
}

/** The globs of tool names that a user has given, and those of them that match no tool of any server: they may be mistyped, and protect nothing. */
export class ToolGlobs {
  readonly #unmatched: Set<ToolGlob>;
  readonly #names = new Set<string>();

  /** @param given the globs by the option that they belong to. */
  constructor(given: Readonly<Record<string, readonly string[]>>) {
    this.#unmatched = new Set(
      Object.entries(given).flatMap(([option, globs]) =>
        globs.map((glob) => ({ option, glob, matcher: new Globs([glob]) })),
      ),
    );
  }

  /** A server has tools of these names. */
  note(names: readonly string[]): void {
    for (const name of names) {
      if (name.length > maxMatchedLength) continue;
      for (const glob of this.#unmatched) if (glob.matcher.match(name)) this.#unmatched.delete(glob);
      if (name.length <= maxLength && this.#names.size < maxNames) this.#names.add(name);
    }
  }

  /** For each glob that matches none of them, a sentence that says so, with the names that it is closest to. */
  warnings(): readonly string[] {
    return Array.from(this.#unmatched, ({ option, glob }) => {
      const closest = this.#closestTo(glob);
      const similar = closest.length === 0 ? '' : `; the closest: ${closest.join(', ')}`;
      return `${option} ${glob} matches no tool${similar}`;
    });
  }

  #closestTo(glob: string): readonly string[] {
    const text = glob.replaceAll(/[*?]/g, '').toLowerCase().slice(0, maxLength);
    return Array.from(this.#names, (name) => ({ name, distance: unlikeness(text, name.toLowerCase()) }))
      .toSorted((a, b) => a.distance - b.distance)
      .slice(0, maxClosest)
      .map(({ name }) => name);
  }
}

/** A glob may stand for the beginning or the end of a name. */
function unlikeness(text: string, name: string): number {
  const { length } = text;
  const parts = [name, name.slice(0, length), name.slice(Math.max(0, name.length - length))];
  return Math.min(...parts.map((part) => editDistance(text, part)));
}
