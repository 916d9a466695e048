/** Subscriptions that one client may hold: it is a table of ours that a client fills. */
export const maxSubscriptions = 10_000;

/** Steps up from a resource in search of a parent that somebody is subscribed to. */
const maxParents = 64;

/** A `resources/subscribe` that the server has to see. */
export interface Subscribing {
  /** To be called with the server's answer. */
  settle(failed: boolean): void;
}

interface Subscription<Owner> {
  /** With the latest request of each: the failure of an earlier one does not undo it. */
  readonly owners: Map<Owner, object>;
  confirmed: boolean;
}

/** The subscriptions of several clients of one server, which sees the first and the last of each resource. */
export class SharedSubscriptions<Owner> {
  readonly #subscriptions = new Map<string, Subscription<Owner>>();
  readonly #byOwner = new Map<Owner, Set<string>>();

  /**
   * A client subscribes to a resource. Returns undefined when the server has confirmed the same for another client, and
   * need not be asked; `full` when the client has too many.
   */
  subscribe(owner: Owner, uri: string): Subscribing | 'full' | undefined {
    const own = this.#byOwner.get(owner) ?? new Set();
    if (own.size >= maxSubscriptions && !own.has(uri)) return 'full';
    this.#byOwner.set(owner, own.add(uri));
    const subscription = this.#subscriptions.get(uri) ?? { owners: new Map<Owner, object>(), confirmed: false };
    this.#subscriptions.set(uri, subscription);
    const ticket = {};
    subscription.owners.set(owner, ticket);
    if (subscription.confirmed) return undefined;
    return {
      settle: (failed) => {
        if (!failed) subscription.confirmed = true;
        else if (this.#subscriptions.get(uri)?.owners.get(owner) === ticket) this.#remove(owner, uri);
      },
    };
  }

  /** A client unsubscribes. Returns whether the server has to be told: nobody else is subscribed. */
  unsubscribe(owner: Owner, uri: string): boolean {
    // Where nobody is subscribed, the server is the one to say what it thinks of it.
    return this.#remove(owner, uri) || !this.#subscriptions.has(uri);
  }

  /** The client has gone. Returns the resources that nobody is subscribed to any more. */
  release(owner: Owner): readonly string[] {
    return [...(this.#byOwner.get(owner) ?? [])].filter((uri) => this.#remove(owner, uri));
  }

  /** The clients that are subscribed to this resource or to one that it is part of. */
  concerned(uri: string): ReadonlySet<Owner> {
    const found = new Set<Owner>();
    let parents = 0;
    for (let part = uri; part !== '' && parents <= maxParents; part = parentOf(part), parents++) {
      for (const owner of this.#subscriptions.get(part)?.owners.keys() ?? []) found.add(owner);
    }
    return found;
  }

  /** Returns whether it was the last. */
  #remove(owner: Owner, uri: string): boolean {
    const subscription = this.#subscriptions.get(uri);
    if (subscription?.owners.delete(owner) !== true) return false;
    const own = this.#byOwner.get(owner);
    own?.delete(uri);
    if (own?.size === 0) this.#byOwner.delete(owner);
    return subscription.owners.size === 0 && this.#subscriptions.delete(uri);
  }
}

/** `a:b/c/` of `a:b/c/d`, then `a:b/c`: a parent may be written with or without what follows it. */
function parentOf(uri: string): string {
  let end = uri.length - 1;
  if (separatesParts(uri.charAt(end))) return uri.slice(0, end);
  while (end > 0 && !separatesParts(uri.charAt(end - 1))) end--;
  return uri.slice(0, end);
}

function separatesParts(character: string): boolean {
  return character === '/' || character === '?' || character === '#';
}
