import { createDeferred } from '../../../platform/deferred.ts';
import { ExposeError } from '../../../errors.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { OutputEvent } from './output-event.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import {
  startTunnelProcess,
  type OutputName,
  type ProcessEnd,
  type TunnelProcess,
  type TunnelProcessOptions,
} from './tunnel-process.ts';

/** How long a program may take until it has a URL, in milliseconds. */
const defaultStartTimeoutMs = 30_000;

export interface ProcessSessionOptions
  extends TunnelSessionOptions, Omit<TunnelProcessOptions, 'environment' | 'onLine'> {
  readonly environment: HostEnvironment;
  readonly program: string;
  readonly installHint: string;
  readonly read: (line: string, output: OutputName) => OutputEvent | undefined;
  /** Whether the program reports separately that requests can come through, so that a URL alone is not enough. */
  readonly saysReady?: boolean;
  /** How long after its first URL it may report a better one, in milliseconds. Default: not at all. */
  readonly settleMs?: number;
  /** The URLs, where the program does not report them. */
  readonly knownUrls?: readonly string[];
  readonly startTimeoutMs?: number;
  readonly noUrlHints?: readonly string[];
}

/** A running program that makes a tunnel; its progress is read from its output. */
export class ProcessSession {
  readonly #options: ProcessSessionOptions;
  readonly #started = createDeferred<TunnelSession>();
  readonly #ended = createDeferred<ExposeError>();
  readonly #child: TunnelProcess;
  readonly #cancelStartTimeout: () => void;
  #cancelSettling: (() => void) | undefined;
  #urls: readonly string[];
  #isReady: boolean;
  #expiresAt: number | undefined;
  #isStarted = false;
  #isOver = false;
  #failure: ExposeError | undefined;

  constructor(options: ProcessSessionOptions) {
    const { environment, signal, startTimeoutMs = defaultStartTimeoutMs } = options;
    this.#options = options;
    this.#urls = options.knownUrls ?? [];
    this.#isReady = options.saysReady !== true;
    this.#child = startTunnelProcess({
      ...options,
      onLine: (line, output) => {
        const event = options.read(line, output);
        if (event !== undefined) this.take(event);
      },
    });
    this.#cancelStartTimeout = environment.clock.after(startTimeoutMs, () => this.#failLate(startTimeoutMs));
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
    void this.#child.ended.then((how) => this.#finish(how));
    this.#startWhenKnown();
  }

  /** As `StartTunnelSession`. */
  get started(): Promise<TunnelSession> {
    return this.#started.promise;
  }

  /** Handles an event, whether it was read from a line or not. */
  take(event: OutputEvent): void {
    switch (event.kind) {
      case 'urls':
        this.#takeUrls(event.urls);
        return;
      case 'ready':
        this.#isReady = true;
        this.#startWhenKnown();
        return;
      case 'expiry':
        this.#expiresAt = this.#options.environment.clock.now() + event.inMs;
        return;
      case 'failure':
        this.fail(event.error);
        return;
      case 'warning':
        this.#options.onWarning(event.message);
    }
  }

  /** Ends it. Unless it has started, `started` rejects with this error when nothing of it is left. */
  fail(error: ExposeError): void {
    if (this.#isOver) return;
    this.#failure ??= error;
    void this.#child.close();
  }

  #takeUrls(found: readonly string[]): void {
    if (found.length === 0 || found.join(' ') === this.#urls.join(' ')) return;
    this.#urls = found;
    if (this.#isStarted) this.#options.onUrls(found);
    else this.#startWhenKnown();
  }

  #startWhenKnown(): void {
    if (!this.#mayStart() || !this.#isReady || this.#urls.length === 0) return;
    const { environment, settleMs = 0 } = this.#options;
    this.#cancelSettling?.();
    this.#cancelSettling = environment.clock.after(settleMs, () => this.#begin());
  }

  #mayStart(): boolean {
    return !this.#isStarted && !this.#isOver && this.#failure === undefined;
  }

  #begin(): void {
    if (!this.#mayStart()) return;
    this.#isStarted = true;
    this.#stopStarting();
    const expiresAt = (): number | undefined => this.#expiresAt;
    this.#started.resolve({
      publicUrls: this.#urls,
      get expiresAt() {
        return expiresAt();
      },
      ended: this.#ended.promise,
      close: this.#child.close,
    });
  }

  #stopStarting(): void {
    this.#cancelStartTimeout();
    this.#cancelSettling?.();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.fail(abortError(this.#options.signal));

  #failLate(afterMs: number): void {
    const { program, noUrlHints = [] } = this.#options;
    const hasUrl = this.#urls.length > 0;
    const hints = [...(hasUrl ? [] : noUrlHints), ...this.#lastWords()];
    const what = hasUrl ? 'was not connected' : 'had no URL';
    this.fail(new ExposeError('tunnel_unreachable', `${program} ${what} after ${afterMs / 1000} s`, { hints }));
  }

  async #finish(how: ProcessEnd): Promise<void> {
    const { signal } = this.#options;
    this.#isOver = true;
    if (!this.#isStarted) this.#stopStarting();
    await this.#child.close();
    const error = this.#failure ?? this.#endError(how);
    this.#ended.resolve(error);
    if (!this.#isStarted) this.#started.reject(signal.aborted ? signal.reason : error);
  }

  #endError({ how, startError }: ProcessEnd): ExposeError {
    const { program, installHint } = this.#options;
    if (startError === 'ENOENT') {
      return new ExposeError('tunnel_not_installed', `${program} is not installed`, { hints: [installHint] });
    }
    if (startError !== undefined) {
      return new ExposeError('tunnel_unavailable', `${program} could not be started: ${startError || how}`);
    }
    const message = `${program} ended with ${how}${this.#isStarted ? '' : ' before it had a URL'}`;
    return new ExposeError('tunnel_unavailable', message, { hints: this.#lastWords() });
  }

  #lastWords(): string[] {
    return this.#child.lastWords().map((line) => `${this.#options.program} said: ${line}`);
  }
}

function abortError(signal: AbortSignal): ExposeError {
  const { reason }: { readonly reason?: unknown } = signal;
  return reason instanceof ExposeError
    ? reason
    : new ExposeError('tunnel_unavailable', 'the tunnel is no longer needed');
}
