import type { Policy } from '../../policy/policy.ts';

/** Names who may go on with what was begun: the caller, while its rights are the same. */
export class Owners {
  readonly #ids = new WeakMap<Policy, number>();
  #lastId = 0;

  of(callerId: string, policy: Policy | undefined): string {
    return JSON.stringify([callerId, this.#idOf(policy)]);
  }

  #idOf(policy: Policy | undefined): number {
    if (policy === undefined || policy.isOpen) return 0;
    const id = this.#ids.get(policy) ?? ++this.#lastId;
    this.#ids.set(policy, id);
    return id;
  }
}
