/** Unanswered server requests of one server; beyond it the oldest is rejected. */
export const maxOpenServerRequests = 1000;

/** Cancelled calls that a server has not answered; beyond it the oldest is forgotten. */
export const maxUnansweredCancelled = 1000;

/** Longest message that a server may send, in bytes, however it is reached. */
export const defaultMaxMessageBytes: number = 64 * 1024 * 1024;

/** Forgets the oldest of a collection that is full, and returns its key. */
export function makeRoom<Key>(full: Map<Key, unknown> | Set<Key>, max: number): Key | undefined {
  if (full.size < max) return undefined;
  const [oldest] = full.keys();
  if (oldest !== undefined) full.delete(oldest);
  return oldest;
}
