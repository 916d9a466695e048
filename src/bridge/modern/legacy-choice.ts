import { systemClock, type Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage, RpcRequest } from '../../mcp/json-rpc.ts';
import { isInitialize } from '../../mcp/lifecycle.ts';
import { Outbox } from '../restart/outbox.ts';
import type { Upstream, UpstreamEvents } from '../upstream/upstream.ts';

/** How long a process may take to answer `initialize`, in milliseconds. Another one of the same server has just started. */
const answerMs = 20_000;

export interface LegacyChoiceOptions {
  /** Gives a process of its own, to be opened with `initialize`. */
  readonly own: () => Upstream;
  /** Gives the modern server in the form of a legacy one. */
  readonly translated: () => Upstream;
  readonly clock?: Clock;
}

/**
 * How legacy clients reach a stdio server that speaks the modern era: it may speak theirs too, but only a process that has been
 * opened so tells (a process keeps to the era of its first message). The first client's own process is asked; a server that
 * refuses is translated for that client and for all that come later.
 */
export class LegacyChoice {
  readonly #options: LegacyChoiceOptions;
  #speaksLegacy: boolean | undefined;

  constructor(options: LegacyChoiceOptions) {
    this.#options = options;
  }

  /** Whether the server speaks the legacy era too; undefined before a client has asked. */
  get speaksLegacy(): boolean | undefined {
    return this.#speaksLegacy;
  }

  /** The upstream of a new session. */
  next(): Upstream {
    const { own, translated, clock = systemClock } = this.#options;
    if (this.#speaksLegacy !== undefined) return this.#speaksLegacy ? own() : translated();
    return new Trial(own(), {
      translated,
      clock,
      onDecided: (speaksLegacy) => {
        this.#speaksLegacy ??= speaksLegacy;
      },
    });
  }
}

interface TrialOptions {
  readonly translated: () => Upstream;
  readonly clock: Clock;
  readonly onDecided: (speaksLegacy: boolean) => void;
}

/** A process of which nobody knows whether it speaks the legacy era, and in its place the modern one, if it does not. */
class Trial implements Upstream {
  readonly isWritable = (): boolean => this.#current.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#current.whenWritable(callback);
  readonly #options: TrialOptions;
  #current: Upstream;
  #isPaused = false;
  #events: UpstreamEvents | undefined;
  /** Defined while its answer is awaited. */
  #initialize: RpcRequest | undefined;
  #cancelTimeout: (() => void) | undefined;
  /** What is for whoever gets the session in the end. */
  readonly #waiting = new Outbox();
  /** The end of a process that did not speak the legacy era. */
  #ending: Promise<void> | undefined;

  constructor(own: Upstream, options: TrialOptions) {
    this.#current = own;
    this.#options = options;
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
    this.#begin(this.#current);
  }

  send(message: RpcMessage): boolean {
    if (this.#initialize !== undefined) return this.#waiting.push(message);
    if (message.kind === 'request' && isInitialize(message) && this.#ending === undefined) {
      this.#initialize = message;
      this.#cancelTimeout = this.#options.clock.after(answerMs, () => this.#translate(undefined));
    }
    return this.#current.send(message);
  }

  pause(): void {
    this.#isPaused = true;
    this.#current.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#current.resume();
  }

  async close(): Promise<void> {
    this.#cancelTimeout?.();
    this.#initialize = undefined;
    await Promise.all([this.#ending, this.#current.close()]);
  }

  #begin(upstream: Upstream): void {
    upstream.start({
      onMessage: (message, origin) => {
        if (upstream === this.#current) this.#receive(message, origin);
      },
      onLost: (end) => {
        if (upstream === this.#current) this.#events?.onLost?.(end);
      },
      onClose: (end) => {
        if (upstream !== this.#current) return;
        if (this.#initialize === undefined) this.#events?.onClose(end);
        else this.#translate(false);
      },
    });
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    const isAnswer = message.kind === 'response' && message.id === this.#initialize?.id;
    if (isAnswer && message.failed) {
      this.#translate(false);
      return;
    }
    this.#events?.onMessage(message, origin);
    if (isAnswer) this.#decide(true);
  }

  /** @param speaksLegacy undefined if that is still not known. */
  #translate(speaksLegacy: false | undefined): void {
    const [own, initialize] = [this.#current, this.#initialize];
    if (initialize === undefined) return;
    this.#current = this.#options.translated();
    this.#ending = own.close();
    this.#begin(this.#current);
    if (this.#isPaused) this.#current.pause();
    this.#current.send(initialize);
    this.#decide(speaksLegacy);
  }

  #decide(speaksLegacy: boolean | undefined): void {
    this.#cancelTimeout?.();
    this.#initialize = undefined;
    if (speaksLegacy !== undefined) this.#options.onDecided(speaksLegacy);
    for (const message of this.#waiting.takeAll()) this.#current.send(message);
  }
}
