/** Subscriptions that one client may hold: it is a table of ours that a client fills. */
export const maxSubscriptions = 10_000;

/** Steps up from a resource in search of a parent that somebody is subscribed to. */
const maxParents = 64;

/** A `resources/subscribe` that the server has to see. */
export interface Subscribing {
  /** To be called with the server's answer. */
  settle(failed: boolean): void;
}

export interface SharedSubscriptions<Owner> {
  /**
   * A client subscribes to a resource. Returns undefined when the server has confirmed the same for another client, and
   * need not be asked; `full` when the client has too many.
   */
  subscribe(owner: Owner, uri: string): Subscribing | 'full' | undefined;
  /** A client unsubscribes. Returns whether the server has to be told: nobody else is subscribed. */
  unsubscribe(owner: Owner, uri: string): boolean;
  /** The client has gone. Returns the resources that nobody is subscribed to any more. */
  release(owner: Owner): readonly string[];
  /** The clients that are subscribed to this resource or to one that it is part of. */
  concerned(uri: string): ReadonlySet<Owner>;
}

interface Subscription<Owner> {
  /** With the latest request of each: the failure of an earlier one does not undo it. */
  readonly owners: Map<Owner, object>;
  confirmed: boolean;
}

/** The subscriptions of several clients of one server, which sees the first and the last of each resource. */
export function createSharedSubscriptions<Owner>(): SharedSubscriptions<Owner> {
  const subscriptions = new Map<string, Subscription<Owner>>();
  const byOwner = new Map<Owner, Set<string>>();

  /** Returns whether it was the last. */
  function remove(owner: Owner, uri: string): boolean {
    const subscription = subscriptions.get(uri);
    if (subscription?.owners.delete(owner) !== true) return false;
    const own = byOwner.get(owner);
    own?.delete(uri);
    if (own?.size === 0) byOwner.delete(owner);
    return subscription.owners.size === 0 && subscriptions.delete(uri);
  }

  return {
    subscribe(owner, uri) {
      const own = byOwner.get(owner) ?? new Set();
      if (own.size >= maxSubscriptions && !own.has(uri)) return 'full';
      byOwner.set(owner, own.add(uri));
      const subscription = subscriptions.get(uri) ?? { owners: new Map<Owner, object>(), confirmed: false };
      subscriptions.set(uri, subscription);
      const ticket = {};
      subscription.owners.set(owner, ticket);
      if (subscription.confirmed) return undefined;
      return {
        settle(failed) {
          if (!failed) subscription.confirmed = true;
          else if (subscriptions.get(uri)?.owners.get(owner) === ticket) remove(owner, uri);
        },
      };
    },
    // Where nobody is subscribed, the server is the one to say what it thinks of it.
    unsubscribe: (owner, uri) => remove(owner, uri) || !subscriptions.has(uri),
    release: (owner) => [...(byOwner.get(owner) ?? [])].filter((uri) => remove(owner, uri)),
    concerned(uri) {
      const found = new Set<Owner>();
      let parents = 0;
      for (let part = uri; part !== '' && parents <= maxParents; part = parentOf(part), parents++) {
        for (const owner of subscriptions.get(part)?.owners.keys() ?? []) found.add(owner);
      }
      return found;
    },
  };
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
