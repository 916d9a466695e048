import { Outbox } from '../restart/outbox.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import { notTaken } from '../session/call-failures.ts';
import type { Upstream, UpstreamEvents } from '../upstream/upstream.ts';

/** In the place of an upstream that can be chosen only later: what it is sent until then waits. */
export class DeferredUpstream implements Upstream {
  readonly #known: Promise<unknown>;
  readonly #choose: () => Upstream;
  readonly #waiting = new Outbox();
  #chosen: Upstream | undefined;
  #events: UpstreamEvents | undefined;
  #isClosed = false;
  #isPaused = false;

  /** @param known resolves when `choose` may be called. Never rejects. */
  constructor(known: Promise<unknown>, choose: () => Upstream) {
    this.#known = known;
    this.#choose = choose;
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    void this.#known.then(() => this.#begin(events));
  }

  send(message: RpcMessage): boolean {
    if (this.#chosen !== undefined) return this.#chosen.send(message);
    return this.#events !== undefined && !this.#isClosed && this.#waiting.push(message);
  }

  isWritable(): boolean {
    return this.#chosen?.isWritable() ?? true;
  }

  whenWritable(callback: () => void): void {
    if (this.#chosen === undefined) callback();
    else this.#chosen.whenWritable(callback);
  }

  pause(): void {
    this.#isPaused = true;
    this.#chosen?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#chosen?.resume();
  }

  async close(): Promise<void> {
    if (this.#chosen !== undefined) {
      await this.#chosen.close();
    } else if (!this.#isClosed) {
      this.#isClosed = true;
      this.#waiting.takeAll();
      this.#events?.onClose({ code: 'upstream_exited', reason: 'the connection was closed', stderr: '' });
    }
  }

  #begin(events: UpstreamEvents): void {
    if (this.#isClosed) return;
    const chosen = this.#choose();
    this.#chosen = chosen;
    chosen.start(events);
    if (this.#isPaused) chosen.pause();
    for (const message of this.#waiting.takeAll()) {
      if (!chosen.send(message) && message.kind === 'request') {
        events.onMessage(newError({ id: message.id, ...notTaken }));
      }
    }
  }
}
