import { isDeepStrictEqual } from 'node:util';

/** Names of servers, each list in the order of the map that they come from. */
export interface ConfigChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** In both, but different. */
  readonly changed: readonly string[];
}

/** The differences between two readings of a configuration. The order of variables and headers does not matter. */
export function changesBetween<Server>(
  before: ReadonlyMap<string, Server>,
  after: ReadonlyMap<string, Server>,
): ConfigChanges {
  const names = [...after.keys()];
  return {
    added: names.filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: names.filter((name) => before.has(name) && !isDeepStrictEqual(before.get(name), after.get(name))),
  };
}
