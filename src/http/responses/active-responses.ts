/** Something that is in a list and knows where. */
export interface Listed {
  place: number;
}

/** An answer that is under way. */
export interface ActiveResponse extends Listed {
  /** Breaks the silence, and looks whether anybody still takes what is sent. */
  keepAlive(checksStalls?: boolean): void;
}

/**
 * What is going on at the moment, added and removed once per call, in no order. An array and not a Set: V8 keeps what
 * was in a table that a Set has outgrown until a full collection, and with each call a socket and a body.
 */
export interface ActiveResponses<Item extends Listed> extends Iterable<Item> {
  readonly size: number;
  add(item: Item): void;
  /** The item must be in the list. */
  remove(item: Item): void;
}

export function createActiveResponses<Item extends Listed>(): ActiveResponses<Item> {
  const items: Item[] = [];
  return {
    get size() {
      return items.length;
    },
    add(item) {
      item.place = items.push(item) - 1;
    },
    remove(item) {
      const last = items.pop();
      if (last === undefined || last === item) return;
      items[item.place] = last;
      last.place = item.place;
    },
    [Symbol.iterator]: () => items[Symbol.iterator](),
  };
}
