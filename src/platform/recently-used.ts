/** A table of bounded size. When it is full, the entry that was used least recently is forgotten. */
export class RecentlyUsed<Value> {
  readonly #maxEntries: number;
  readonly #create: (key: string) => Value;
  readonly #values = new Map<string, Value>();

  /** @param create makes the value of a key that is not in the table. */
  constructor(maxEntries: number, create: (key: string) => Value) {
    this.#maxEntries = maxEntries;
    this.#create = create;
  }

  get size(): number {
    return this.#values.size;
  }

  at(key: string): Value {
    const value = this.#values.get(key) ?? this.#create(key);
    // A Map iterates in the order of insertion, so this moves the key to the end.
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > this.#maxEntries) this.#forgetOldest();
    return value;
  }

  #forgetOldest(): void {
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}
